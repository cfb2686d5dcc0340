"""``drkit drill``: list. Every other command of the group is one function, added in ``add_to``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, show_json, table
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.drill.history import Past
    from drkit.drill.scenario.listing import Listed
    from drkit.drill.scenario.model import Scenario

VERDICTS = (20, 21, 22)
"""The exit codes by which verdicts are told."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(rich_markup_mode=None, epilog=exits(*VERDICTS), no_args_is_help=True)
    group.callback()(drill)
    group.command("list", epilog=exits())(list_scenarios)
    app.add_typer(group, name="drill")


def drill() -> None:
    """Chaos scenarios: hurt a cluster on purpose, measure what its users would have noticed, and judge it."""


@handled
def list_scenarios(
    config_file: ConfigOption = None,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the JSON schema of a scenario's file, for editors, and nothing else."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The scenarios that there are, and the last verdict on each. Needs no configuration.

    Some ship with drkit; those in chaos/ beside drkit.yaml come on top, and in place of a shipped one of the same name.
    """
    if schema:
        from drkit.drill.scenario import schema as schemas

        print(schemas.text(), end="")
        return

    from drkit.drill import history
    from drkit.drill.scenario.listing import listed, loaded

    found = loaded(listed(_configuration(config_file)))
    last = history.newest()
    if as_json:
        show_json({"scenarios": [_as_json(each, scenario, last.get(each.name)) for each, scenario in found]})
        return
    rows = [[each.name, printable(scenario.title), *_verdict(last.get(each.name))] for each, scenario in found]
    table(["NAME", "TITLE", "LAST VERDICT", "WHEN"], rows)
    for each, _ in found:
        if each.replaces:
            print(f"{each.name} is {printable(str(each.file))}, in place of the one that ships")


def _configuration(explicit: Path | None) -> Path | None:
    """drkit.yaml, if there is one: beside it the user's own scenarios are."""
    from drkit.config.load import find
    from drkit.errors import ConfigurationError

    if explicit is not None and not explicit.is_file():
        raise ConfigurationError(f"{explicit}: there is no such file", "name the file with --config, or leave it out")
    try:
        return find(explicit)
    except ConfigurationError:
        return None


def _as_json(each: Listed, scenario: Scenario, last: Past | None) -> dict[str, Any]:
    return {
        "name": each.name,
        "title": scenario.title,
        "file": str(each.file),
        "last_verdict": None if last is None else last.outcome,
        "last_run": None if last is None else {"run": last.run, "started": last.started, "cluster": last.cluster},
        "suite": list(scenario.suite),
        "lab_only": scenario.lab_only,
        "replaces_shipped": each.replaces,
    }


def _verdict(last: Past | None) -> list[str]:
    return ["never run", ""] if last is None else [printable(last.outcome), printable(last.started)]
