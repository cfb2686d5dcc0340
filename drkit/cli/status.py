"""``drkit status``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, set_up, show_json, standing_of
from drkit.masking import mask


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("status", epilog=exits(10, 11, 12))(status)


@handled
def status(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as one self-contained page too.")
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Could this cluster be lost right now? First the answer, then why, and where everything stands.

    For each source the newest whole backup, its age against its schedule, and when a restore last proved it; then
    vaults, drills, restores and jobs. The answer is safe, at risk or would be lost.
    """
    from drkit import state
    from drkit.observe.standing import page, text

    standing, refused = standing_of(set_up(config_file))
    if html is not None:
        state.write_durably(html, mask(page.html(standing)))
    if refused is not None:
        raise refused
    if as_json:
        show_json(standing.as_json())
        return
    for line in text.of_standing(standing):
        print(mask(line))
