"""The entry point: puts the commands together."""

from __future__ import annotations

import sys

import typer

from drkit import __version__
from drkit.cli import (
    audit,
    backup,
    check,
    cronjobs,
    drill,
    harden,
    init,
    keys,
    lab,
    metrics,
    notify,
    points,
    prune,
    restore,
    runbook,
    schedule,
    status,
    verify,
)
from drkit.cli.common import exits

app = typer.Typer(
    name="drkit",
    help="Backup, disaster recovery and high-availability drills for small k3s clusters.",
    epilog=exits(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
init.add_to(app)
check.add_to(app)
backup.add_to(app)
points.add_to(app)
verify.add_to(app)
restore.add_to(app)
prune.add_to(app)
status.add_to(app)
metrics.add_to(app)
notify.add_to(app)
drill.add_to(app)
audit.add_to(app)
harden.add_to(app)
runbook.add_to(app)
keys.add_to(app)
schedule.add_to(app)
cronjobs.add_to(app)
lab.add_to(app)


def _version(value: bool) -> None:
    if value:
        print(f"drkit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character gets a question mark, not a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # both are text files
    app()
