"""Whether two servers acknowledged writes at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.judge.collected import Write
from drkit.drill.judge.primaries import two_primaries
from drkit.drill.record import OK
from drkit.drill.values import ONE_PRIMARY, SQL_WRITE
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT
from tests.unit.drill.judge.edits import asked, judge, story, told
from tests.unit.drill.records import NEW_SERVER, OLD_SERVER

OLD, NEW = "10.42.1.5", "10.42.2.7"


def _writes(*done: tuple[str, int | None], takes: float = 0.5) -> list[Write]:
    return [
        Write(float(number), number + takes, number, OK, server, timeline)
        for number, (server, timeline) in enumerate(done)
    ]


def test_a_promotion_is_not_two_primaries() -> None:
    """One server, then the other on the next timeline."""
    assert not two_primaries(_writes((OLD, 1), (OLD, 1), (NEW, 2), (NEW, 2)))


def test_a_promotion_back_is_not_two_primaries() -> None:
    """A server can become the primary again, on a newer timeline."""
    assert not two_primaries(_writes((OLD, 1), (NEW, 2), (OLD, 3)))


def test_an_old_primary_that_goes_on_is_found() -> None:
    """A write on an older timeline that was sent after one on a newer timeline was acknowledged: both are named."""
    said = two_primaries(_writes((OLD, 1), (NEW, 2), (OLD, 1)))
    assert said == (
        f"{OLD} acknowledged row 2 on timeline 1 at 2.5 s, after {NEW} had acknowledged row 1 on timeline 2 at 1.5 s"
    )


def test_writes_that_overlap_prove_nothing() -> None:
    """The older server's may have been done before the newer one's: nobody knows when within its time."""
    assert not two_primaries(_writes((OLD, 1), (NEW, 2), (OLD, 1), takes=1.5))
    assert not two_primaries(_writes((OLD, 1), (NEW, 1), (OLD, 1), takes=1.5))


def test_writes_that_follow_each_other_at_once_do_not_overlap() -> None:
    """One that was sent when the other was acknowledged came after it."""
    assert two_primaries(_writes((OLD, 1), (NEW, 2), (OLD, 1), takes=1.0))
    assert two_primaries(_writes((OLD, 1), (NEW, 1), (OLD, 1), takes=1.0))


def test_two_that_acknowledge_in_turn_on_one_timeline_are_found() -> None:
    """No promotion is between them, so both are primaries."""
    assert "in turn on timeline 1: rows 0, 1 and 2" in two_primaries(_writes((OLD, 1), (NEW, 1), (OLD, 1)))
    assert "in turn" in two_primaries(_writes((OLD, None), (NEW, None), (OLD, None)))


def test_a_primary_that_was_started_again_elsewhere_is_one() -> None:
    """A new address on the same timeline, and never the old one again."""
    assert not two_primaries(_writes((OLD, 1), (OLD, 1), (NEW, 1), (NEW, 1)))


def test_writes_without_a_server_show_nothing() -> None:
    """Of them nobody knows who acknowledged."""
    assert not two_primaries(_writes((OLD, 2), ("", 1), (OLD, 2)))


@pytest.mark.parametrize(("number", "outcome"), [(33, KEPT), (36, EXCEEDED)])
def test_two_primaries_break_the_hold(number: int, outcome: str) -> None:
    """A violated hold is exceeded, at the least; before the new one acknowledged, the old one may."""
    drill = story(0).promotion(4.0, 5.0).probe("write", SQL_WRITE, out=[(0.0, 4.0)]).holding(ONE_PRIMARY)
    verdict = judge(
        asked(
            drill.entries(),
            lambda each: replace(each, server=OLD_SERVER, timeline=1) if each.number == number else each,
            "write",
        )
    )
    assert verdict.outcome == outcome
    assert told(verdict, f"two primaries: {OLD_SERVER} acknowledged row {number} on timeline 1") is (
        outcome == EXCEEDED
    )
    assert told(verdict, NEW_SERVER) is (outcome == EXCEEDED)
    assert bool(verdict.ledgers[0].two_primaries) is (outcome == EXCEEDED)


def test_who_acknowledged_has_to_be_known() -> None:
    """Where no write says it, that there was one primary is not proven."""
    drill = story(0).probe("write", SQL_WRITE).holding(ONE_PRIMARY)
    assert judge(asked(drill.entries(), lambda each: replace(each, server=""), "write")).outcome == INVALID


def _naive(writes: list[Write]) -> bool:
    """The definition, written out."""

    def before(one: Write, other: Write) -> bool:
        return one.at <= other.sent

    behind = any(before(one, two) and (two.timeline or 0) < (one.timeline or 0) for one in writes for two in writes)
    in_turn = any(
        one.server == three.server != two.server
        and one.timeline == two.timeline == three.timeline
        and before(one, two)
        and before(two, three)
        for one in writes
        for two in writes
        for three in writes
    )
    return behind or in_turn


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from("abc"), st.integers(1, 3)), max_size=12)
)
def test_they_are_found_wherever_the_definition_says(done: list[tuple[int, int, str, int]]) -> None:
    """The quick search finds what comparing every write with every other finds."""
    writes = sorted(
        Write(float(sent), float(sent + takes), row, OK, server, timeline)
        for row, (sent, takes, server, timeline) in enumerate(done)
    )
    assert bool(two_primaries(writes)) == _naive(writes)
