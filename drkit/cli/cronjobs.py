"""``drkit cronjobs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, show_json

if TYPE_CHECKING:
    from drkit.cronjobs.tree import Tree


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    commands = typer.Typer(
        help="The jobs as the cluster itself runs them: Kubernetes manifests from the configuration.",
        no_args_is_help=True,
        rich_markup_mode=None,
        epilog=exits(),
    )
    commands.command("render", epilog=exits())(render)
    app.add_typer(commands, name="cronjobs")


@handled
def render(
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write the tree there; without it the files are shown."),
    ] = None,
    overlay: Annotated[
        str, typer.Option("--overlay", metavar="NAME", help="The overlay's name; the cluster's where left out.")
    ] = "",
    points: Annotated[
        Path | None,
        typer.Option(
            "--points", metavar="FILE", help="Databases' sizes, to share them out: what drkit points list --json said."
        ),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a kustomize tree of CronJobs: base, and an overlay for this configuration. It holds no secret."""
    from drkit.config.load import find, load
    from drkit.cronjobs.files import before, sizes, write
    from drkit.cronjobs.tree import overlay_name
    from drkit.cronjobs.tree import render as rendered

    config = load(find(config_file))
    name = overlay_name(overlay or config.cluster.name)
    tree = rendered(config, name, sizes(points), before(to, name))
    if to is not None:
        write(tree, to)
    _show(tree, to, as_json=as_json)


def _show(tree: Tree, to: Path | None, *, as_json: bool) -> None:
    if as_json:
        secrets = [{"namespace": each.namespace, "name": each.name, "keys": dict(each.keys)} for each in tree.secrets]
        files = dict(sorted(tree.files.items())) if to is None else sorted(tree.files)
        show_json({"to": None if to is None else str(to), "files": files, "secrets": secrets})
        return
    for path, text in sorted(tree.files.items()):
        print(f"# --- {path}\n{text}" if to is None else str(to / path))
    if to is not None:
        for secret in tree.secrets:
            print(f"to be made: Secret {secret.namespace}/{secret.name}: {', '.join(sorted(secret.keys))}")
