"""The times in which a probe failed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.judge.collected import Question
from drkit.drill.judge.outages import LATE_SECONDS, outages
from drkit.drill.record import FAILED, OK, UNKNOWN

EVERY = 0.5
_OUTCOMES = {".": OK, "x": FAILED, "?": UNKNOWN}


def _questions(outcomes: str, late: float = 0.0) -> list[Question]:
    return [
        Question(number * EVERY, number, number * EVERY + late, number * EVERY + late + 0.1, _OUTCOMES[each])
        for number, each in enumerate(outcomes)
    ]


def test_an_outage_lasts_from_its_first_failure_to_the_success_that_ends_it() -> None:
    """Seconds count from when questions were to leave, and are right to within the time between two of them."""
    (found,) = outages(_questions("..xxx...."), EVERY, 3)
    assert (found.first_failure, found.last_failure, found.first_success) == (1.0, 2.0, 2.5)
    assert (found.seconds, found.error, found.failed, found.sent, found.flapped) == (1.5, EVERY, 3, 3, 0)


def test_a_single_success_ends_nothing() -> None:
    """Fewer successes in a row than needed are told as flapping, and their time counts as out."""
    (found,) = outages(_questions("xx..x..."), EVERY, 3)
    assert (found.seconds, found.failed, found.sent, found.flapped) == (2.5, 3, 5, 2)


def test_as_many_successes_as_needed_end_it() -> None:
    """With one success fewer needed the same questions are two outages."""
    assert [each.seconds for each in outages(_questions("xx..x..."), EVERY, 2)] == [1.0, 0.5]


def test_an_outage_that_nothing_ended_lasts_to_the_last_question() -> None:
    """Too few successes at the end of the record do not end an outage."""
    (found,) = outages(_questions("..xx.."), EVERY, 3)
    assert found.first_success is None
    assert (found.seconds, found.failed, found.sent, found.flapped) == (1.5, 2, 4, 2)


def test_an_unknown_outcome_is_no_success() -> None:
    """A write whose fate nobody knows is not one that a user could go on with."""
    (found,) = outages(_questions("x?..."), EVERY, 3)
    assert (found.seconds, found.failed) == (1.0, 2)


@pytest.mark.parametrize(("late", "error"), [(LATE_SECONDS - 0.001, EVERY), (LATE_SECONDS, EVERY + LATE_SECONDS)])
def test_late_questions_widen_the_error(late: float, error: float) -> None:
    """Where the questions at an outage's edges left late, it is known less well."""
    (found,) = outages(_questions(".xx...", late), EVERY, 3)
    assert found.error == pytest.approx(error)


_RUNS = st.text("..xx?", min_size=1, max_size=60)


@given(_RUNS, st.integers(1, 5))
def test_outages_do_not_overlap_and_hold_every_failure(run: str, needed: int) -> None:
    """Every question that failed is in exactly one outage, and counts add up."""
    found = outages(_questions(run), EVERY, needed)
    assert sum(each.failed for each in found) == sum(each != "." for each in run)
    assert all(each.failed + each.flapped == each.sent for each in found)
    for one, other in pairwise(found):
        assert one.first_success is not None
        assert one.first_success < other.first_failure


@given(_RUNS, st.integers(1, 5), st.data())
def test_a_success_in_place_of_a_failure_never_lengthens_the_longest(
    run: str, needed: int, data: st.DataObject
) -> None:
    """The better a probe fares, the shorter its outages."""
    place = data.draw(st.integers(0, len(run) - 1))
    better = run[:place] + "." + run[place + 1 :]
    before, after = (
        max((each.seconds for each in outages(_questions(each_run), EVERY, needed)), default=0.0)
        for each_run in (run, better)
    )
    assert after <= before


@given(_RUNS, st.integers(1, 5), st.data())
def test_one_more_success_never_lengthens_the_longest(run: str, needed: int, data: st.DataObject) -> None:
    """A success between two questions can end an outage earlier, and nothing else."""
    questions = _questions(run)
    due = data.draw(st.floats(0, questions[-1].due))
    more = sorted([*questions, Question(due, -1, due, due + 0.1, OK)])
    before, after = (
        max((each.seconds for each in outages(each_run, EVERY, needed)), default=0.0) for each_run in (questions, more)
    )
    assert after <= before


@given(_RUNS, st.integers(1, 5))
def test_more_successes_needed_never_shorten_an_outage(run: str, needed: int) -> None:
    """A stricter end comes later."""
    lax, strict = (
        max((each.seconds for each in outages(_questions(run), EVERY, number)), default=0.0)
        for number in (needed, needed + 1)
    )
    assert lax <= strict
