"""``drkit metrics``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, exits, handled, reporter, set_up, standing_of

if TYPE_CHECKING:
    from drkit.cli.common import Setup


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("metrics", epilog=exits(12))(metrics)


@handled
def metrics(
    textfile: Annotated[
        Path | None,
        typer.Option(
            "--textfile", metavar="FILE", help="Write them for node_exporter's textfile collector: NAME.prom."
        ),
    ] = None,
    push: Annotated[str, typer.Option("--push", metavar="URL", help="Send them to a Pushgateway.")] = "",
    serve: Annotated[
        int | None,
        typer.Option("--serve", metavar="PORT", min=0, max=65535, help="Answer Prometheus until a signal comes."),
    ] = None,
    address: Annotated[
        str, typer.Option("--address", help="Where --serve listens; no password, no TLS.")
    ] = "127.0.0.1",
    every: Annotated[float, typer.Option("--every", min=1, help="How often --serve asks the vaults, seconds.")] = 300,
    config_file: ConfigOption = None,
) -> None:
    """Where the cluster stands, as metrics for Prometheus. Without an option they are printed.

    A vault that does not answer is a metric, not an error. monitoring/ has alert rules and a dashboard for them.
    """
    from drkit.errors import UsageError
    from drkit.masking import mask
    from drkit.observe.metrics import exposition

    if sum((textfile is not None, bool(push), serve is not None)) > 1:
        raise UsageError("say one of --textfile, --push and --serve")
    setup = set_up(config_file)
    if serve is not None:
        _serve(setup, address, serve, every)
        return
    standing, _ = standing_of(setup)
    if textfile is not None:
        exposition.write(standing, textfile)
    elif push:
        exposition.push(standing, push)
    else:
        print(mask(exposition.text(standing)), end="")


def _serve(setup: Setup, address: str, port: int, every: float) -> None:
    """Ask again every so many seconds, in this thread; who asks meanwhile gets what was known last."""
    from drkit import process
    from drkit.errors import DrkitError
    from drkit.observe.metrics import exposition

    newest, _ = standing_of(setup)
    with reporter() as told, exposition.served(lambda: newest, address, port) as listening:
        told.note(f"serving metrics on {address} port {listening}")
        while True:
            process.pause(every)
            try:
                newest, _ = standing_of(setup)
            except DrkitError as error:
                told.warn(error.message)
