"""``drkit harden``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.config.model import Config
    from drkit.posture.drift import Found

FINDINGS = 23


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    meaning = "With --plan 23 says that something is to be applied; without it 3, that something could not be. "
    app.command("harden", epilog=meaning + exits(3, 16, FINDINGS))(harden)


@handled
def harden(
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Keep right what was made right: apply the patches that drkit.yaml declares, as far as the cluster lost them."""
    from drkit.config.load import find, load
    from drkit.posture.drift import drifted

    config = load(find(config_file))
    found = _found(config, plan=plan)
    wrong = drifted(found)
    if as_json:
        patches = [each.as_json() for each in found]
        show_json({"cluster": config.cluster.name, "plan": plan, "drifted": len(wrong), "patches": patches})
    else:
        _print(found)
    if wrong:
        raise typer.Exit(FINDINGS if plan else 3)


def _found(config: Config, *, plan: bool) -> Sequence[Found]:
    from drkit.cluster.transport import PROMPT
    from drkit.drill import lease
    from drkit.errors import ConfigurationError
    from drkit.posture import addons
    from drkit.posture import harden as hardening
    from drkit.sources import cluster as clusters

    if not config.patches:
        return ()
    api = clusters.connect(config.cluster)
    if api is None:
        raise ConfigurationError("cluster.kubeconfig: patches are applied through the cluster's API", "name it")
    if plan:
        return (*hardening.look(api, config.patches), *addons.look(config, api))
    prompt = clusters.connect(config.cluster, PROMPT)
    assert prompt is not None  # noqa: S101 - as api is
    with lease.hold(prompt, "harden", say=lambda said: print(said, file=sys.stderr)):
        # k3s is told to leave its AddOns alone before they are changed, so that it does not change them back between.
        skipped = addons.skip(config, api)
        return (*hardening.apply(api, config.patches), *skipped, *addons.own(config, api))


def _print(found: Sequence[Found]) -> None:
    from drkit.masking import mask
    from drkit.posture.told_patches import lines

    for line in lines(found):
        print(mask(line))
