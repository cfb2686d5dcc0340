"""``drkit audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drkit.cli.common import ConfigOption, JsonOption, exits, handled, set_up, show_json, table

if TYPE_CHECKING:
    from drkit.posture.audit import Audit

FINDINGS = 23


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("audit", epilog=exits(3, 10, 11, 12, 13, 15, FINDINGS))(audit)


@handled
def audit(
    point: Annotated[
        str,
        typer.Option("--point", metavar="ID", help="Judge a recovery point, or latest, not the live cluster."),
    ] = "",
    wished: Annotated[
        str,
        typer.Option(
            "--what-if", metavar="KEY=VALUE,…", help="Judge by these settings, as in lb.interval=3s,node.grace=20s."
        ),
    ] = "",
    fail_on: Annotated[
        str,
        typer.Option("--fail-on", metavar="SEVERITY", help="End with 23 at critical, high, medium or low; or never."),
    ] = "high",
    sarif_file: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write the findings as SARIF 2.1.0 as well.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the audit as one HTML page as well.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules; needs no configuration.")] = False,
    config_file: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What would go wrong: single points of failure, the windows that follow from the settings, the level of HA."""
    from drkit.errors import UsageError
    from drkit.posture.rules.rule import SEVERITIES

    if rules:
        _rules(as_json=as_json)
        return
    if fail_on not in {*SEVERITIES, "never"}:
        raise UsageError(f"--fail-on {fail_on!r}", f"one of {', '.join(SEVERITIES)}, or never")
    found = _audited(config_file, point, wished)
    _write(found, sarif_file, html_file)
    if as_json:
        show_json(found.as_json())
    else:
        _print(found)
    if fail_on != "never" and found.at_least(fail_on):
        raise typer.Exit(FINDINGS)


def _rules(*, as_json: bool) -> None:
    from drkit.posture.rules import RULES

    if as_json:
        show_json({"rules": [rule.as_json() for rule in RULES]})
    else:
        table(["RULE", "SEVERITY", "WHAT IT FINDS", "PAGE"], [[r.id, r.severity, r.title, r.runbook] for r in RULES])


def _audited(config_file: Path | None, point: str, wished: str) -> Audit:
    from drkit.clock import SystemClock
    from drkit.points.catalogue import read
    from drkit.posture.archived import from_point
    from drkit.posture.audit import audit as judged
    from drkit.posture.collect import live, with_backups

    setup = set_up(config_file)
    config = setup.config
    if point:
        catalogue = read(config.cluster.name, setup.vaults, setup.verifier)
        chosen = catalogue.find(point)
        snapshot = from_point(chosen, setup.vaults, setup.verifier)
        return judged(snapshot, config.cluster.name, chosen.id, wished)
    snapshot = live(config, SystemClock().now())
    snapshot = with_backups(snapshot, config, setup.vaults, setup.verifier)
    return judged(snapshot, config.cluster.name, "live", wished)


def _write(found: Audit, sarif_file: Path | None, html_file: Path | None) -> None:
    import json

    from drkit.masking import mask
    from drkit.posture.report.page import html
    from drkit.posture.report.sarif import sarif

    if sarif_file is not None:
        sarif_file.write_text(mask(json.dumps(sarif(found), indent=2, ensure_ascii=False)) + "\n", encoding="utf-8")
    if html_file is not None:
        html_file.write_text(mask(html(found)), encoding="utf-8")


def _print(found: Audit) -> None:
    from drkit.masking import mask
    from drkit.posture.report.text import lines

    for line in lines(found):
        print(mask(line))
