"""What holds of every verdict, whatever the record."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from drkit.drill import record
from drkit.drill.record import Begin, Event, Rows
from drkit.drill.values import HTTP, NOTHING_LOST, ONE_PRIMARY, PROMOTED, RESCHEDULED, SQL_WRITE
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST
from tests.unit.drill.judge.edits import failing, judge
from tests.unit.drill.records import NEW_PRIMARY, OLD_PRIMARY, WORKER, Story

if TYPE_CHECKING:
    from drkit.drill.record import Entry

_SEVERITY = (KEPT, EXCEEDED, INVALID, LOST)
_EVENTS = (
    record.NODE_NOT_READY,
    record.NODE_TAINTED,
    record.POD_CREATED,
    record.POD_READY,
    record.POD_NOT_READY,
    record.ENDPOINT_REMOVED,
    record.TARGET_UNHEALTHY,
    record.FAILING_OVER,
    record.NEW_PRIMARY,
)
_OUTS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=3)
_SEEN = st.lists(
    st.tuples(st.integers(-20, 80), st.sampled_from(_EVENTS), st.sampled_from([WORKER, "k3s-w2", "a/b-1", "a/b-2"])),
    max_size=8,
)


def _story(outs: list[tuple[int, int]], seen: list[tuple[int, str, str]], window: float) -> Story:
    halves = [(begin / 2, seconds / 2) for begin, seconds in outs]
    drill = (
        Story(lasts=15, after=10)
        .probe("page", HTTP, every=0.5, window=window, out=halves, session=True)
        .probe("write", SQL_WRITE, every=0.5, window=window, out=halves)
        .holding(NOTHING_LOST, ONE_PRIMARY)
    )
    for at, what, who in seen:
        drill.event(at / 2, what, who, node=WORKER if who.endswith("1") else "k3s-w2")
    return drill


@st.composite
def _stories(draw: st.DrawFn) -> Story:
    drill = _story(draw(_OUTS), draw(_SEEN), draw(st.sampled_from([0.0, 0.5, 2.0, 5.0])))
    if draw(st.booleans()):
        drill.expecting(PROMOTED, RESCHEDULED)
    return drill


def _damaged(entries: list[Entry], seed: int) -> list[Entry]:
    """With some entries gone, and some questions failed."""
    chance = random.Random(seed)  # noqa: S311 - what hypothesis chose
    kept = [each for each in entries if isinstance(each, Begin) or chance.random() > 0.02]
    return failing(kept, *(chance.randrange(74) for _ in range(3)))


@given(_stories(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_lines_changes_nothing(drill: Story, seed: int, chance: random.Random) -> None:
    """Several processes append to one record: the same entries are the same verdict."""
    entries = _damaged(drill.entries(), seed) if seed else drill.entries()
    before = judge(entries)
    chance.shuffle(entries)
    assert judge(entries) == before


def _with_windows(entries: list[Entry], window: float) -> list[Entry]:
    begin = entries[0]
    assert isinstance(begin, Begin)

    def _widened(probe: dict[str, Any]) -> dict[str, Any]:
        return probe if probe["window"] is None else {**probe, "window": window}

    return [
        replace(begin, drill={**begin.drill, "probes": [_widened(each) for each in begin.drill["probes"]]}),
        *entries[1:],
    ]


@given(_stories(), st.integers(0, 3), st.floats(0.5, 30), st.floats(0, 30))
def test_a_wider_window_never_worsens_the_outcome(drill: Story, seed: int, window: float, more: float) -> None:
    """Of those that questions can resolve."""
    entries = _damaged(drill.entries(), seed) if seed else drill.entries()
    narrow, wide = (judge(_with_windows(entries, each)).outcome for each in (window, window + more))
    assert _SEVERITY.index(wide) <= _SEVERITY.index(narrow)


@given(_SEEN, st.floats(0.5, 30))
def test_without_failures_a_drill_is_kept(seen: list[tuple[int, str, str]], window: float) -> None:
    """Whatever happened in the cluster meanwhile."""
    verdict = judge(_story([], seen, window).entries())
    assert (verdict.outcome, verdict.reasons) == (KEPT, ())
    assert all(not each.outages for each in verdict.series)


@given(_stories())
def test_parts_fill_their_outage_without_gaps(drill: Story) -> None:
    """They begin where it begins, end where it ends, and each begins where the one before it ends."""
    for series in judge(drill.entries()).series:
        for outage in series.outages:
            at = outage.first_failure
            for part in outage.parts:
                assert part.began == at
                assert part.ended > at
                at = part.ended
            assert abs(sum(each.seconds for each in outage.parts) - outage.seconds) < 1e-6
            if outage.first_success is not None:
                assert at == outage.first_success


@given(_stories(), st.integers(0, 3))
def test_nothing_is_lost_where_every_acknowledged_row_is_there(drill: Story, seed: int) -> None:
    """Whatever else went wrong, a run without a missing row is never one that lost writes."""
    entries = _damaged(drill.entries(), seed) if seed else drill.entries()
    verdict = judge(entries)
    assert verdict.outcome != LOST
    assert not any(each.lost for each in verdict.ledgers)


@given(_stories(), st.data())
def test_a_row_that_is_gone_from_all_instances_is_always_lost(drill: Story, data: st.DataObject) -> None:
    """Any row, and any number of them, whatever else went wrong."""
    acknowledged = drill.acknowledged("write")
    gone = data.draw(st.lists(st.sampled_from(acknowledged), min_size=1, max_size=5, unique=True))
    drill.instance(OLD_PRIMARY, "primary", lacking=gone).instance(NEW_PRIMARY, "replica", lacking=gone)
    seed = data.draw(st.integers(0, 3))
    entries = [each for each in _damaged(drill.entries(), seed) if not isinstance(each, Rows)] + list(drill.rows)
    entries += [each for each in drill.asked if each.row in gone and each.probe == "write"]  # none of these is damaged
    verdict = judge(entries)
    assert (verdict.outcome, verdict.exit_code) == (LOST, 21)
    assert set(gone) <= set(verdict.ledgers[0].lost)


@given(_stories(), st.data())
def test_a_verdict_is_the_worst_of_its_reasons(drill: Story, data: st.DataObject) -> None:
    """Kept has no reason, and everything else has one; each question is counted once."""
    entries = _damaged(drill.entries(), data.draw(st.integers(0, 3)))
    verdict = judge(entries)
    assert bool(verdict.reasons) == (verdict.outcome != KEPT)
    there = sum(isinstance(each, record.Asked) for each in entries)
    assert sum(each.sent for each in verdict.series) == there
    assert all(each.failed + each.unknown <= each.sent for each in verdict.series)


@given(st.lists(st.sampled_from(_EVENTS), max_size=4), st.text(max_size=20), st.text(max_size=20))
def test_whatever_the_cluster_says_is_judged(kinds: list[str], text: str, stamp: str) -> None:
    """Names, stamps and what else comes from the cluster may be anything."""
    drill = _story([(0, 8)], [], 5.0)
    more = {"node": text, "owner": text, "within": text, "uid": text, "to": text, "taint": text}
    events = [Event(drill.fault_at + 1, kind, text, more, stamp) for kind in kinds]
    assert judge([*drill.entries(), *events]).outcome == KEPT
