"""``drkit status``."""

from __future__ import annotations

from typing import Any

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, set_up, show_json, table
from drkit.observe.text import printable


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("status", epilog=exits(10, 11, 12))(status)


@handled
def status(config_file: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Where we stand: for each source the newest whole backup, its age, and when it was last proven."""
    from dataclasses import replace

    from drkit.clock import SystemClock
    from drkit.cluster.volumes import shown
    from drkit.errors import DrkitError
    from drkit.points.catalogue import open_descriptor, read
    from drkit.points.status import stand

    setup = set_up(config_file)
    catalogue = read(setup.config.cluster.name, setup.vaults, setup.verifier)
    newest = None
    try:
        newest = open_descriptor(catalogue.points[0], setup.vaults, setup.verifier) if catalogue.points else None
    except DrkitError as error:
        catalogue = replace(catalogue, problems=(*catalogue.problems, error))
    now = stand(setup.config, catalogue, SystemClock().now(), newest)
    document: dict[str, Any] = now.as_json()
    if as_json:
        show_json(document)
        return
    print(f"cluster {printable(now.cluster)}: {now.points} recovery points")
    rows = [
        [
            printable(each.source),
            each.point or "NEVER BACKED UP",
            "" if each.age is None else f"{each.age // 60} min",
            each.proven or "never",
        ]
        for each in now.sources
    ]
    table(["SOURCE", "NEWEST WHOLE BACKUP", "AGE", "PROVEN BY A RESTORE"], rows)
    for volume in now.volumes:
        print(f"in no source: the volume {printable(shown(volume))}")
    for problem in now.problems:
        print(f"problem: {printable(problem)}")
