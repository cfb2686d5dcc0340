"""``drkit check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, indented, show_json
from drkit.observe.text import printable

if TYPE_CHECKING:
    from drkit.check import Result


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("check", epilog=exits(3, 10, 11, 12, 16))(check)


@handled
def check(
    accept_host_key: Annotated[
        str,
        typer.Option(
            "--accept-host-key", metavar="SHA256:…", help="Pin the vault's host key that has this fingerprint."
        ),
    ] = "",
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test every connection, program, key and secret that backups and restores need."""
    from drkit.check import accept, everything
    from drkit.config.load import find, load, read_text

    file = find(config_file)
    config = load(file)
    if accept_host_key:
        accepted = accept(config, accept_host_key)
        if as_json:
            show_json({"accepted": accepted})
        else:
            print("\n".join(f"pinned {line}" for line in accepted))
        return
    results = everything(config, read_text(file))
    if as_json:
        show_json({"ok": all(result.ok for result in results), "checks": [result.as_json() for result in results]})
    else:
        for result in results:
            print(f"{_verdict(result):<8}{printable(result.what)}")
            print(indented(result.said, 8))
            if result.hint:
                print(indented(f"hint: {result.hint}", 8))
    failed = [result for result in results if not result.ok]
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _verdict(result: Result) -> str:
    if not result.ok:
        return "FAILED"
    return "WARNING" if result.warning else "ok"
