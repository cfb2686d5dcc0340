"""What became of the writes that were acknowledged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.judge.finding import count, exceeded, invalid, lost, note
from drkit.drill.judge.primaries import two_primaries
from drkit.drill.judge.rows import RowSet
from drkit.drill.record import FAILED, OK, UNKNOWN
from drkit.drill.values import NOTHING_LOST, ONE_PRIMARY, SQL_WRITE
from drkit.drill.verdict import Ledger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from drkit.drill.judge.collected import Collected, Write
    from drkit.drill.judge.finding import Finding
    from drkit.drill.record import Rows
    from drkit.drill.values import Drill

PRIMARY = "primary"
_NAMED = 10
"""How many rows a sentence names."""


@dataclass(frozen=True)
class Checked:
    """A ledger, and what the judge has to say about it beside that."""

    ledger: Ledger
    findings: tuple[Finding, ...]


def ledgers(drill: Drill, collected: Collected) -> list[Checked]:
    """The ledgers of all probes that wrote, in the drill's order."""
    return [
        _checked(drill, each.name, collected.writes.get(each.name, ()), _newest(collected.rows, each.name))
        for each in drill.probes
        if each.kind == SQL_WRITE
    ]


def without(drill: Drill) -> Iterator[Finding]:
    """What has to hold of writes cannot be known where nothing writes."""
    if not any(each.kind == SQL_WRITE for each in drill.probes):
        for hold in (NOTHING_LOST, ONE_PRIMARY):
            if hold in drill.hold:
                yield invalid(f"nothing wrote, so nothing shows whether '{hold}' held")


def _newest(rows: Sequence[Rows], probe: str) -> list[Rows]:
    """The last word about each instance, in order of their names."""
    found = {each.instance: each for each in rows if each.probe == probe}
    return [found[name] for name in sorted(found)]


def _checked(drill: Drill, probe: str, writes: Sequence[Write], rows: Sequence[Rows]) -> Checked:
    # A row that was tried twice is acknowledged if one of them was.
    acknowledged = {each.row for each in writes if each.outcome == OK}
    unknown = {each.row for each in writes if each.outcome == UNKNOWN} - acknowledged
    failed = {each.row for each in writes if each.outcome == FAILED} - acknowledged - unknown
    asked = {each.instance: RowSet(each.ranges) for each in rows if not each.said}
    everywhere = RowSet(pair for each in rows if not each.said for pair in each.ranges)
    tried = acknowledged | unknown | failed
    missing = {name: sorted(row for row in acknowledged if row not in there) for name, there in asked.items()}
    ledger = Ledger(
        probe=probe,
        acknowledged=len(acknowledged),
        failed=len(failed),
        unknown=len(unknown),
        lost=tuple(sorted(set().union(*missing.values()))),
        missing=tuple((name, len(lacking)) for name, lacking in missing.items()),
        duplicated=_duplicated(rows),
        strangers=len(everywhere) - sum(row in everywhere for row in tried),
        unknown_done=sum(row in everywhere for row in unknown),
        two_primaries=two_primaries([each for each in writes if each.outcome == OK]),
        unchecked=tuple(each.instance for each in rows if each.said),
    )
    findings = (
        *_lost(ledger, missing, rows, everywhere),
        *_proven(drill, ledger, rows),
        *_one_primary(drill, ledger, writes, rows),
        *_odd(ledger, sum(row in everywhere for row in failed)),
    )
    return Checked(ledger, findings)


def _duplicated(rows: Sequence[Rows]) -> tuple[int, ...]:
    return tuple(sorted({int(row) for each in rows if not each.said for row, times in each.twice.items() if times > 1}))


def _lost(ledger: Ledger, missing: dict[str, list[int]], rows: Sequence[Rows], everywhere: RowSet) -> Iterator[Finding]:
    """Rows that are on no instance; that the primary lacks; that only a replica lacks: each is told once."""
    of = f"of {ledger.acknowledged} acknowledged writes of {ledger.probe}"
    gone = {row for row in ledger.lost if row not in everywhere}
    if gone:
        yield lost(f"{len(gone)} {of} are on no instance that could be asked: rows {_named(gone)}")
    told = set(gone)
    for each in sorted((one for one in rows if one.instance in missing), key=lambda one: one.role != PRIMARY):
        lacking = set(missing[each.instance]) - told
        if lacking and each.role == PRIMARY:
            yield lost(f"{len(lacking)} {of} are not on the primary {each.instance}: rows {_named(lacking)}")
            told |= lacking
        elif lacking:
            yield lost(f"{len(lacking)} {of} are not on the replica {each.instance}: rows {_named(lacking)}")


def _proven(drill: Drill, ledger: Ledger, rows: Sequence[Rows]) -> Iterator[Finding]:
    """Whether it can be known that nothing is lost."""
    why = [f"{each.instance} could not be asked for its rows: {each.said}" for each in rows if each.said]
    if not ledger.acknowledged:
        why.append("no write was acknowledged")
    elif not rows:
        why.append("no instance was asked for its rows")
    elif not any(each.role == PRIMARY and not each.said for each in rows):
        why.append("no primary was asked for its rows")
    make = invalid if NOTHING_LOST in drill.hold else note
    yield from (make(f"whether writes of {ledger.probe} are lost is not known: {each}") for each in why)


def _one_primary(drill: Drill, ledger: Ledger, writes: Sequence[Write], rows: Sequence[Rows]) -> Iterator[Finding]:
    held = ONE_PRIMARY in drill.hold
    make = exceeded if held else note
    if ledger.two_primaries:
        yield make(f"two primaries: {ledger.two_primaries}")
    primaries = [each.instance for each in rows if each.role == PRIMARY and not each.said]
    if len(primaries) > 1:
        yield make(f"two primaries: at the end {' and '.join(primaries)} both said that they are it")
    known = {each.server for each in writes if each.outcome == OK and each.server}
    if held and not known:
        yield invalid(
            f"no write of {ledger.probe} says who acknowledged it: whether there was one primary is not known"
        )


def _odd(ledger: Ledger, failed_done: int) -> Iterator[Finding]:
    name = ledger.probe
    if failed_done:
        yield note(f"{count(failed_done, 'write')} of {name} that had failed are there nevertheless")
    if ledger.duplicated:
        rows = f"{count(len(ledger.duplicated), 'row')} of {name}"
        yield note(f"{rows} are there more than once: {_named(ledger.duplicated)}")
    if ledger.strangers:
        yield note(f"{count(ledger.strangers, 'row')} are there that {name} never tried to write")


def _named(rows: Collection[int]) -> str:
    shown = [str(row) for row in sorted(rows)[:_NAMED]]
    return ", ".join(shown) + (f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else "")
