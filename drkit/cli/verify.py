"""``drkit verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, indented, reporter, set_up, show_json
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.cluster.kube import Api
    from drkit.verify.run import Findings


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
    api: Annotated[
        Path | None,
        typer.Option(
            "--api", metavar="KUBECONFIG", help="With --deep: try every object on this cluster too, as a dry run."
        ),
    ] = None,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that what the vaults hold is what was sealed; with --deep, that it can be restored."""
    from drkit.clock import SystemClock
    from drkit.errors import UsageError
    from drkit.points.catalogue import read
    from drkit.points.select import exactly, recovery_set
    from drkit.verify.run import Verify

    if api is not None and not deep:
        raise UsageError("--api belongs to --deep")
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
            work.restored(chosen, _connect(api))
    _show(work.findings, [each.message for each in work.unreached], deep=deep, as_json=as_json)
    if work.findings.wrong:
        raise typer.Exit(13)
    for error in work.unreached:
        raise error


def _show(findings: Findings, unreached: list[str], *, deep: bool, as_json: bool) -> None:
    wrong = findings.wrong
    if as_json:
        looked_at = [{"what": item.what, "wrong": list(item.wrong)} for item in findings.items]
        verified = not wrong and not unreached
        show_json({"verified": verified, "deep": deep, "looked_at": looked_at, "unreached": unreached})
        return
    for item in findings.items:
        print(f"{'WRONG' if item.wrong else 'ok':<6}{printable(item.what)}")
        for text in item.wrong:
            print(indented(text, 6))
    whole = "all that could be looked at is as it was sealed" if unreached else "everything is as it was sealed"
    print(whole if not wrong else f"NOT as it was sealed: {len(wrong)}")


def _connect(kubeconfig: Path | None) -> Api | None:
    if kubeconfig is None:
        return None
    from drkit.cluster.api import connect
    from drkit.cluster.kubeconfig import read

    return connect(read(kubeconfig))
