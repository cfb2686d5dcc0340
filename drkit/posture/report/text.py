"""An audit for a terminal. Pure; masking and printing is the command's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.observe.text import columns, printable
from drkit.posture.report.words import compared, cost, parts, window
from drkit.posture.rules.rule import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.audit import Audit


def lines(audit: Audit) -> Iterator[str]:
    """The whole, line by line; what came from the cluster is made printable."""
    yield f"cluster {printable(audit.cluster)}, {audit.of}, {audit.taken}"
    yield f"level {audit.level.number} of 4: {audit.level.title}; bears {audit.level.bears}"
    yield printable(f"  {audit.level.why}")
    for step in audit.level.next:
        yield f"  to level {audit.level.number + 1}: {step}"
    yield ""
    yield from _findings(audit)
    yield from _outlook(audit)
    unchecked = [each for each in audit.checked if each.unchecked]
    if unchecked:
        yield ""
        yield f"NOT CHECKED: {len(unchecked)} rules"
        reasons: dict[str, list[str]] = {}
        for each in unchecked:
            reasons.setdefault(each.unchecked, []).append(each.rule.id)
        for why, ids in reasons.items():
            yield printable(f"  {', '.join(ids)}: {why}")


def _findings(audit: Audit) -> Iterator[str]:
    found = list(audit.findings())
    if not found:
        yield "no findings"
    for severity in SEVERITIES:
        for rule, finding in found:
            if rule.severity != severity:
                continue
            yield f"{severity.upper():9}{rule.id}: {printable(finding.what)}"
            yield printable(f"         {finding.said}")
            if said := cost(finding):
                yield printable(f"         costs {said}")
            yield printable(f"         fix: {finding.fix.how} ({rule.runbook})")
    if found:
        counted = [(sum(rule.severity == each for rule, _ in found), each) for each in SEVERITIES]
        yield ""
        yield f"{len(found)} findings: " + ", ".join(f"{number} {name}" for number, name in counted if number)


def _outlook(audit: Audit) -> Iterator[str]:
    rows = compared(audit.outlook, audit.before)
    if not rows:
        return
    yield ""
    yield f"WINDOWS with {audit.what_if}" if audit.what_if else "WINDOWS, from the settings"
    headings = ["PROBE", "WHEN", "FAILS FOR", *(["BEFORE"] if audit.what_if else []), "OF WHICH"]
    cells = [
        [
            printable(row.probe),
            row.failure,
            window(row.prediction),
            *([was] if audit.what_if else []),
            parts(row.prediction),
        ]
        for row, was in rows
    ]
    yield from columns(headings, cells)
