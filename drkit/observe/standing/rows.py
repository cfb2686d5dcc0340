"""The parts of the screen that tells where a cluster stands, as headings and rows, for text and page alike. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drkit.clock import from_text
from drkit.observe.progress import size
from drkit.observe.standing.judge import NOTE
from drkit.observe.text import age, duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.verdict import Verdict
    from drkit.observe.standing.judge import Standing, Verified
    from drkit.points.status import SourceStatus

NEVER = "never"
MOST_ROWS = 200


class Part(NamedTuple):
    """A table: its heading; its columns, and whether each holds figures; its rows."""

    heading: str
    columns: tuple[tuple[str, int], ...]
    rows: Sequence[Sequence[str]]


def parts(standing: Standing) -> Iterator[Part]:
    """All tables that have rows."""
    for part in (_sources(standing), _vaults(standing), _drills(standing), _restores(standing), _jobs(standing)):
        if part.rows:
            left = len(part.rows) - MOST_ROWS
            rest = [(f"and {left} more: drkit status --json", *[""] * (len(part.columns) - 1))] if left > 0 else []
            yield part._replace(rows=[*part.rows[:MOST_ROWS], *rest])


def headline(standing: Standing) -> str:
    """The answer in one line."""
    worst = [each for each in standing.findings if each.weight == standing.verdict]
    if not worst:
        return f"{standing.known.status.cluster}: {standing.verdict.upper()}"
    more = sum(each.weight != NOTE for each in standing.findings) - 1
    rest = f" (and {more} more)" if more else ""
    return f"{standing.known.status.cluster}: {standing.verdict.upper()}: {worst[0].text}{rest}"


def proofs(standing: Standing) -> list[tuple[str, str]]:
    """The last verification, the last one by a restore, the last restore, and the escrow bundle: what and when."""
    known = standing.known
    done = next((each for each in known.restores if each.finished), None)
    told = [
        ("last verification", _verified(standing, standing.verified)),
        ("last proof by a restore", _verified(standing, standing.deep)),
        (
            "RTO of the last restore",
            NEVER if done is None else f"{duration(done.seconds)} ({done.target}, {ago(standing, done.started)})",
        ),
    ]
    if known.escrow is not None:
        made = "none" if known.escrow.made is None else ago(standing, known.escrow.made)
        told.append(("escrow bundle", made + (", older than the keys" if known.escrow.newer else "")))
    return told


def _verified(standing: Standing, verified: Verified | None) -> str:
    return NEVER if verified is None else f"{ago(standing, verified.at)}, of {verified.point}"


def ago(standing: Standing, moment: str | None) -> str:
    """How long ago a time was; what is no time is told as it is."""
    if moment is None:
        return NEVER
    try:
        return f"{age((standing.known.now - from_text(moment)).total_seconds())} ago"
    except ValueError:
        return moment


def _sources(standing: Standing) -> Part:
    columns = (
        ("source", 0),
        ("newest whole backup", 0),
        ("age", 1),
        ("allowed", 1),
        ("size", 1),
        ("proven by a restore", 0),
    )
    rows = [
        (
            each.source,
            _point(standing, each),
            "" if each.age is None else f"{'TOO OLD: ' if _late(standing, each) else ''}{age(each.age)}",
            "not there any more" if each.gone else age(standing.limits[each.source]),
            size(each.size) if each.point else "",
            ago(standing, each.proven),
        )
        for each in standing.known.status.sources
    ]
    return Part("Sources", columns, rows)


def _point(standing: Standing, source: SourceStatus) -> str:
    if source.source in standing.unknown:
        return "not known: its vault does not answer"
    return source.point or "NEVER BACKED UP"


def _late(standing: Standing, source: SourceStatus) -> bool:
    return not source.gone and source.age is not None and source.age > standing.limits[source.source]


def _vaults(standing: Standing) -> Part:
    columns = (("vault", 0), ("answers", 0), ("recovery points", 1), ("schedule", 0))
    rows = [
        (
            each.name,
            (each.error or "yes") if each.answers else f"NO: {each.error}",
            str(each.points),
            each.schedule or "none",
        )
        for each in standing.known.vaults
    ]
    return Part("Vaults", columns, rows)


def _drills(standing: Standing) -> Part:
    columns = (("drill", 0), ("last verdict", 0), ("when", 0), ("longest outage", 1), ("window", 1))
    rows = [
        (each.scenario, each.outcome, ago(standing, each.started), *_longest(each)) for each in standing.known.drills
    ]
    return Part("Drills", columns, rows)


def _longest(drill: Verdict) -> tuple[str, str]:
    """Of what was judged: the longest outage, and what it was allowed."""
    judged = [each for each in drill.series if each.window is not None]
    if not judged:
        return "", ""
    longest = max(judged, key=lambda each: each.longest)
    return duration(longest.longest), duration(longest.window or 0.0)


def _restores(standing: Standing) -> Part:
    columns = (("restored to", 0), ("when", 0), ("result", 0), ("RTO, measured", 1), ("RPO, measured", 1), ("mode", 0))
    rows = [
        (
            each.target,
            ago(standing, each.started),
            "every proof equal" if each.finished else "NOT FINISHED",
            duration(each.seconds),
            "" if each.oldest is None else age(each.oldest),
            each.mode,
        )
        for each in standing.known.restores
    ]
    return Part("Restores", columns, rows)


def _jobs(standing: Standing) -> Part:
    columns = (("job", 0), ("stands", 0), ("last good run", 0), ("next run", 0))
    rows = [
        (each.name, "FAILS" if each.failing else "well", ago(standing, each.succeeded), each.due or "")
        for each in standing.known.jobs
    ]
    return Part("Jobs", columns, rows)
