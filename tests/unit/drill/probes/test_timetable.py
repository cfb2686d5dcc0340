"""When questions leave, and what was tried and never heard of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.probes.timetable import Timetable, timetables, unheard
from drkit.drill.record import OK, UNKNOWN, Asked
from drkit.drill.values import Probe

PROBES = st.lists(
    st.tuples(st.sampled_from([0.02, 0.2, 1.0]), st.booleans(), st.booleans()), min_size=1, max_size=8
).map(
    lambda drawn: [
        (Probe(f"p{place}", "tcp", "", every, 1.0, None, session), writes)
        for place, (every, session, writes) in enumerate(drawn)
    ]
)


@given(PROBES, st.floats(0, 100), st.integers(0, 200))
def test_no_row_is_written_twice(probes: list[tuple[Probe, bool]], begin: float, number: int) -> None:
    """Series that write share one row of numbers, and each of its numbers belongs to one question."""
    series = [each for each in timetables(probes, begin) if each.row is not None]
    rows = sorted(each.row_of(k) or 0 for each in series for k in range(number))
    assert rows == list(range(number * len(series)))


@given(PROBES, st.floats(0, 100))
def test_series_of_equal_pace_never_leave_together(probes: list[tuple[Probe, bool]], begin: float) -> None:
    """First questions leave within the time between two, each at a time of its own."""
    series = timetables(probes, begin)
    for every in {each.every for each in series}:
        firsts = [each.first for each in series if each.every == every]
        assert len(firsts) == len(set(firsts))
        assert all(begin - 1e-6 <= each < begin + every + 1e-6 for each in firsts)


@given(st.floats(0, 10), st.sampled_from([0.02, 0.2, 1.0]), st.floats(0, 30))
def test_what_has_left_is_what_was_due(first: float, every: float, at: float) -> None:
    """So many have left at a time as were due by then."""
    left = Timetable("p", session=False, first=first, every=every).left(at)
    assert left == 0 or first + (left - 1) * every <= at + 1e-9
    assert first + left * every > at - 1e-9


def test_writes_that_were_never_heard_of_are_unknown() -> None:
    """What a prober that died had tried is in the record as unknown; what it heard of, and what is no write, is not."""
    series = [
        Timetable(name, session=False, first=1.0, every=0.5, row=row) for name, row in (("w", (0, 2)), ("r", None))
    ]
    heard = [Asked(1.1, "w", 0, 1.0, 1.0, OK, row=0), Asked(2.1, "w", 2, 2.0, 2.0, OK, row=4)]
    found = list(unheard(heard, series, 2.6))
    assert [(each.number, each.row, each.outcome) for each in found] == [(1, 2, UNKNOWN), (3, 6, UNKNOWN)]
    assert [each.due for each in found] == [1.5, 2.5]
