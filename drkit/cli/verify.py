"""``drkit verify``."""

from __future__ import annotations

from typing import Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, indented, printable, reporter, set_up, show_json


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("verify", epilog=exits(10, 11, 12, 13, 15, 16))(verify)


@handled
def verify(
    point: Annotated[
        str, typer.Argument(help="One point; left out, all of them (with --deep, the newest of each source).")
    ] = "",
    deep: Annotated[
        bool, typer.Option("--deep", help="Restore into a scratch server and compare the contents.")
    ] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that what the vaults hold is what was sealed; with --deep, that it can be restored."""
    from drkit.clock import SystemClock
    from drkit.points.catalogue import read
    from drkit.points.select import exactly, recovery_set
    from drkit.verify.run import Verify

    setup = set_up(config_file)
    with reporter() as telling:
        work = Verify(setup.config, setup.vaults, setup.verifier, SystemClock(), telling)
        catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
        chosen = None
        if point:
            found = catalogue.find(point)
            if deep:
                chosen = exactly(found, accept_incomplete=True)
            else:
                work.checksums(found)
        else:
            work.everything(catalogue)
            if deep:
                chosen = recovery_set(catalogue.points)
        if chosen is not None:
            for warning in chosen.warnings:
                telling.warn(warning)
            work.restored(chosen)
    wrong = work.findings.wrong
    if as_json:
        looked_at = [{"what": item.what, "wrong": list(item.wrong)} for item in work.findings.items]
        show_json({"verified": not wrong, "deep": deep, "looked_at": looked_at})
    else:
        for item in work.findings.items:
            print(f"{'WRONG' if item.wrong else 'ok':<6}{printable(item.what)}")
            for text in item.wrong:
                print(indented(text, 6))
        print("everything is as it was sealed" if not wrong else f"NOT as it was sealed: {len(wrong)}")
    if wrong:
        raise typer.Exit(13)
