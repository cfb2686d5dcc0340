"""``drkit check``."""

from __future__ import annotations

from typing import Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, indented, show_json
from drkit.masking import mask
from drkit.observe.text import printable

_SHOWN = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "skipped": "skipped"}
_INDENT = 9


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
    """Test every connection, program, right, key and secret that backups, restores and drills need. Changes nothing.

    Warnings and what was skipped do not count for the exit code, which is that of the first thing that failed.
    """
    from drkit.check import accept, everything
    from drkit.config.load import find, load

    file = find(config_file)
    config = load(file)
    if accept_host_key:
        accepted = accept(config, accept_host_key)
        if as_json:
            show_json({"accepted": accepted})
        else:
            print("\n".join(f"pinned {line}" for line in accepted))
        return
    results = everything(config, file)
    if as_json:
        show_json({"ok": all(result.ok for result in results), "checks": [result.as_json() for result in results]})
    else:
        for result in results:
            print(f"{_SHOWN[result.status]:<{_INDENT}}{printable(result.what)}")
            print(mask(indented(result.said, _INDENT)))
            if result.hint:
                print(mask(indented(f"hint: {result.hint}", _INDENT)))
    failed = [result for result in results if not result.ok]
    if failed:
        raise typer.Exit(failed[0].exit_code)
