"""An audit as one HTML page that needs nothing else: no script, no font, nothing from elsewhere. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.observe.text import markup
from drkit.posture.report.words import compared, cost, parts, window
from drkit.posture.rules.rule import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.audit import Audit
    from drkit.posture.outlook import Row
    from drkit.posture.rules.rule import Finding, Rule

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(audit: Audit) -> str:
    """The page."""
    title = f"Audit of {markup(audit.cluster)}"
    return "\n".join(
        (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>",
            *_head(audit),
            *_level(audit),
            *_findings(audit),
            *_windows(audit),
            *_unchecked(audit),
            f"</main>\n<footer>drkit, {markup(audit.of)}, {audit.taken}</footer>\n</body>\n</html>\n",
        )
    )


def _head(audit: Audit) -> Iterator[str]:
    found = [rule.severity for rule, _ in audit.findings()]
    counts = [(each, found.count(each)) for each in SEVERITIES]
    state = f'<p class="state bad">{len(found)} findings</p>' if found else '<p class="state good">No findings.</p>'
    yield state
    facts = "".join(f'<div class="{name}"><dt>{name}</dt><dd>{number}</dd></div>' for name, number in counts)
    yield f'<dl class="facts">{facts}</dl>'


def _level(audit: Audit) -> Iterator[str]:
    now = audit.level
    rungs = "".join(f"<li{' class=reached' if n <= now.number else ''}>{n}</li>" for n in range(5))
    yield f'<h2>Level {now.number}: {markup(now.title)}</h2>\n<ol class="ladder" aria-hidden="true">{rungs}</ol>'
    yield f"<p>It bears {markup(now.bears)}. <small>{markup(now.why)}</small></p>"
    if now.next:
        steps = "".join(f"<li>{markup(each)}</li>" for each in now.next)
        yield f"<p>What level {now.number + 1} takes:</p>\n<ul>{steps}</ul>"


def _findings(audit: Audit) -> Iterator[str]:
    found = list(audit.findings())
    if found:
        yield "<h2>Findings</h2>"
        yield from (_finding(rule, finding) for rule, finding in found)


def _finding(rule: Rule, finding: Finding) -> str:
    said = cost(finding)
    costs = f"<dt>Costs</dt><dd>{markup(said)}</dd>" if said else ""
    patch = ""
    if finding.fix.patch:
        text = json.dumps(dict(finding.fix.patch), indent=2, ensure_ascii=False)
        patch = f"<details><summary>as a patch ({markup(finding.fix.by)})</summary><pre>{markup(text)}</pre></details>"
    return (
        f'<section class="finding {rule.severity}">\n<h3><b>{rule.severity}</b> {markup(finding.what)}</h3>\n'
        f"<p>{markup(finding.said)}</p>\n<dl>{costs}<dt>Fix</dt><dd>{markup(finding.fix.how)}{patch}</dd>"
        f"<dt>Rule</dt><dd>{rule.id}, {markup(rule.runbook)}</dd></dl>\n</section>"
    )


def _windows(audit: Audit) -> Iterator[str]:
    if not audit.outlook:
        return
    yield f"<h2>Windows, {'with ' + markup(audit.what_if) if audit.what_if else 'from the settings'}</h2>"
    longest = max((row.prediction.seconds + row.prediction.error for row in audit.outlook if _ends(row)), default=1.0)
    before = '<th scope="col">before</th>' if audit.what_if else ""
    yield (
        '<div class="scroll" tabindex="0"><table>\n<thead><tr><th scope="col">probe</th><th scope="col">when</th>'
        f'<th scope="col">fails for</th>{before}<th scope="col">where the seconds go</th></tr></thead>\n<tbody>'
    )
    for row, was in compared(audit.outlook, audit.before):
        earlier = f"<td>{markup(was)}</td>" if audit.what_if else ""
        yield (
            f"<tr><td>{markup(row.probe)}</td><td>{markup(row.failure)}</td><td>{markup(window(row.prediction))}</td>"
            f"{earlier}<td>{_bar(row, longest)}</td></tr>"
        )
    yield "</tbody>\n</table></div>"


def _ends(row: Row) -> bool:
    return not row.prediction.lasting


def _bar(row: Row, longest: float) -> str:
    """The parts as a bar, to one scale for all rows."""
    if row.prediction.lasting or not row.prediction.seconds:
        return ""
    pieces = "".join(
        f'<i class="{name.replace(" ", "-")}" style="width:{100 * seconds / max(longest, 0.001):.2f}%"></i>'
        for name, seconds in row.prediction.parts
    )
    return f'<span class="bar" aria-hidden="true">{pieces}</span><small>{markup(parts(row.prediction))}</small>'


def _unchecked(audit: Audit) -> Iterator[str]:
    left = [each for each in audit.checked if each.unchecked]
    if left:
        listed = "".join(f"<li>{each.rule.id}: {markup(each.unchecked)}</li>" for each in left)
        yield f"<h2>Not checked</h2>\n<ul>{listed}</ul>"
