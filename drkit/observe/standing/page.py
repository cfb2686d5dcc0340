"""Where a cluster stands, as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.clock import to_text
from drkit.observe.page import document, facts, table
from drkit.observe.standing import rows
from drkit.observe.standing.judge import AT_RISK, NOTE, SAFE, WOULD_BE_LOST
from drkit.observe.text import age, markup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.observe.standing.judge import Standing

_STYLE = Path(__file__).with_name("page.css")
_LOOKS = {SAFE: "good", AT_RISK: "warning", WOULD_BE_LOST: "bad"}
_SAID = {
    SAFE: "Safe: every source has a backup that is young enough, and was proven by a restore.",
    AT_RISK: "At risk: something that should protect this cluster does not.",
    WOULD_BE_LOST: "Would be lost: for some of it, nothing could bring it back.",
}
_HEADINGS = {WOULD_BE_LOST: "What would be lost", AT_RISK: "What puts it at risk", NOTE: "Worth knowing"}


def html(standing: Standing) -> str:
    """The page."""
    cluster = standing.known.status.cluster
    foot = f"drkit status, {to_text(standing.known.now)}: as old as this page"
    return document(f"Could {cluster} be lost right now?", _STYLE, _body(standing), foot)


def _body(standing: Standing) -> Iterator[str]:
    yield f'<p class="state verdict {_LOOKS[standing.verdict]}">{markup(_SAID[standing.verdict])}</p>'
    yield facts(_facts(standing))
    for weight, found in groupby(standing.findings, key=lambda each: each.weight):
        yield f'<h2>{_HEADINGS[weight]}</h2>\n<ul class="findings {_LOOKS.get(weight, "note")}">'
        for each in found:
            yield f"<li>{markup(each.text)}<span>{markup(each.hint)}</span></li>"
        yield "</ul>"
    for part in rows.parts(standing):
        yield from table(part.heading, part.columns, part.rows)


def _facts(standing: Standing) -> Iterator[tuple[str, str, str]]:
    ages = [each.age for each in standing.known.status.sources if each.age is not None and not each.gone]
    yield "oldest source (RPO as it is)", age(max(ages)) if ages else rows.NEVER, ""
    yield "sources", str(sum(not each.gone for each in standing.known.status.sources)), ""
    yield "recovery points", str(standing.known.status.points), ""
    for what, when in rows.proofs(standing):
        yield what, when, "small"
