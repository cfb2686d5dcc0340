"""``drkit prune``."""

from __future__ import annotations

from typing import Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, reporter, set_up, show_json, table


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("prune", epilog=exits(10, 11, 12, 13, 15))(prune)


@handled
def prune(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would go, and change nothing.")] = False,
    accept_vanished: Annotated[
        list[str] | None,
        typer.Option(metavar="POINT", help="A point of which archives are gone or changed, which is as it should be."),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove the recovery points that no retention rule keeps, then free their room.

    Stops with 13 before it changes anything where archives that were sealed are gone or changed: on a box that only
    appends they can still be had back then.
    """
    from drkit.clock import SystemClock
    from drkit.points.prune import Prune

    setup = set_up(config_file, pruning=True)
    with reporter() as telling:
        work = Prune(setup.config, setup.vaults, setup.verifier, SystemClock(), telling)
        results = work.execute(carry_out=not plan, accepted=accept_vanished or ())
    if as_json:
        show_json(
            {
                "carried_out": not plan,
                "vaults": {each.vault: {"kept": each.kept, "removed": each.removed} for each in results},
            }
        )
        return
    rows = [[each.vault, point, f"kept: {why}"] for each in results for point, why in each.kept.items()]
    rows += [
        [each.vault, point, "would be removed" if plan else "removed"] for each in results for point in each.removed
    ]
    table(["VAULT", "POINT", ""], sorted(rows, key=lambda row: (row[0], row[1]), reverse=True))
