"""Runs that prove nothing: each reason trips, and just does not."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from drkit.drill.judge.outages import LATE_SECONDS
from drkit.drill.record import (
    BEFORE,
    BROKEN,
    CONFIRMED,
    DONE,
    INTERRUPTED,
    SENT,
    UNCONFIRMED,
    UNDONE,
    Begin,
    End,
    Phase,
    Steady,
    Used,
)
from drkit.drill.values import CONTROL_PROBE
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT
from tests.unit.drill.judge.edits import CONTROL, asked, changed, failing, judge, late, noted, story, told

if TYPE_CHECKING:
    from drkit.drill.record import Entry


def _before(entries: list[Entry], *, holds: bool | None) -> list[Entry]:
    """With the word about the steady state before the fault changed, or without it."""
    return changed(
        entries,
        Steady,
        lambda each: (
            each if each.when != BEFORE else None if holds is None else replace(each, holds=holds, said="w2 is down")
        ),
    )


def test_a_record_without_an_end_was_cut_short() -> None:
    """What a killed drill leaves is no verdict."""
    verdict = judge(changed(story().entries(), End, lambda _: None))
    assert (verdict.outcome, verdict.exit_code) == (INVALID, 22)
    assert verdict.reasons == ("the record was cut short: it has no end",)


@pytest.mark.parametrize("how", [INTERRUPTED, BROKEN])
def test_a_drill_that_did_not_come_to_its_end_is_invalid(how: str) -> None:
    """Its own word for it is in the reason."""
    verdict = judge(changed(story().entries(), End, lambda each: replace(each, how=how, said="by a signal")))
    assert verdict.reasons == (f"the drill was {how}: by a signal",)


def test_of_two_ends_the_worse_one_counts() -> None:
    """A drill that was interrupted did not come to its end, whatever was written later."""
    assert judge([*story().entries(), End(50.0, DONE), End(40.0, INTERRUPTED)]).outcome == INVALID


def test_a_steady_state_that_did_not_hold_makes_a_run_invalid() -> None:
    """What was broken before the fault says nothing of the fault."""
    verdict = judge(_before(story().entries(), holds=False))
    assert verdict.reasons == ("the steady state did not hold before the fault: w2 is down",)


def test_a_failure_before_the_fault_makes_a_run_invalid() -> None:
    """Where no entry vouches for the steady state, any failure before the fault breaks it; without one it held."""
    entries = _before(story().entries(), holds=None)
    assert judge(entries).outcome == KEPT
    verdict = judge(failing(entries, 0))
    assert verdict.outcome == INVALID
    assert told(verdict, "page failed 1 time before the fault, last 12 s before it")


def test_failures_before_the_steady_state_had_begun_are_noted() -> None:
    """Where an entry says that it held, it vouches for its seconds up to then: what failed earlier had just begun."""
    entries = story().entries()  # it held for 10 s up to 11 s
    verdict = judge(failing(entries, 0, 1))
    assert verdict.outcome == KEPT
    assert noted(verdict, "page failed 2 times before its steady state had begun")
    assert verdict.series[0].failed == 12
    assert len(verdict.series[0].outages) == 1
    assert judge(failing(entries, 2)).outcome == INVALID


def test_a_failure_between_the_steady_state_and_the_fault_makes_a_run_invalid() -> None:
    """What failed after it was said to hold, and before the fault was sent, was not the fault's doing."""
    verdict = judge(failing(story().entries(), 23))  # due at 11.5 s, the fault was sent at 12 s
    assert told(verdict, "page failed 1 time before the fault, last 0.5 s before it")


def test_a_question_that_the_fault_caught_on_its_way_belongs_to_the_fault() -> None:
    """It left before the fault was sent and failed after it: the steady state held, and the outage begins with it."""
    entries = asked(
        story().entries(), lambda each: replace(each, outcome="failed", at=12.5) if each.number == 23 else each
    )
    verdict = judge(entries)
    assert verdict.outcome == KEPT
    assert verdict.series[0].outages[0].first_failure == 11.5


def test_a_probe_that_is_not_judged_may_fail_before_the_fault() -> None:
    """What is only watched has no steady state to keep."""
    assert judge(failing(story(window=None).entries(), 23)).outcome == KEPT


def test_a_probe_that_was_first_asked_after_the_fault_has_no_steady_state() -> None:
    """Nobody knows whether it worked before."""
    verdict = judge(asked(story().entries(), lambda each: each if each.due >= 12 else None))
    assert told(verdict, "page was not asked before the fault")


@pytest.mark.parametrize(
    ("phases", "reason"),
    [
        ({CONFIRMED: None}, "power-off of k3s-w1 was sent and never confirmed"),
        ({CONFIRMED: UNCONFIRMED}, "power-off of k3s-w1 was not confirmed: the host does not answer"),
        ({CONFIRMED: None, SENT: None}, "power-off of k3s-w1 was never sent"),
    ],
)
def test_a_fault_that_was_not_confirmed_makes_a_run_invalid(phases: dict[str, str | None], reason: str) -> None:
    """A fault that did nothing proves nothing, however well everything went."""

    def _change(phase: Phase) -> Phase | None:
        to = phases.get(phase.phase, phase.phase)
        return None if to is None else replace(phase, phase=to)

    verdict = judge(changed(story(0).entries(), Phase, _change))
    assert verdict.outcome == INVALID
    assert told(verdict, reason)


def test_one_of_two_faults_that_was_not_confirmed_makes_a_run_invalid() -> None:
    """Each of them has to be seen."""
    drill = story()
    begin, *others = drill.entries()
    assert isinstance(begin, Begin)
    injections = (*begin.drill["injections"], {"fault": "reset", "target": "k3s-w2", "after": 3.0, "lasts": 1.0})
    entries = [replace(begin, drill={**begin.drill, "injections": injections}), *others]
    second = [Phase(drill.fault_at + 3, 1, SENT), Phase(drill.fault_at + 5, 1, UNDONE)]
    assert judge([*entries, *second]).reasons == ("reset of k3s-w2 was sent and never confirmed",)
    verdict = judge([*entries, *second, Phase(drill.fault_at + 4, 1, CONFIRMED)])
    assert (verdict.outcome, [each.observed for each in verdict.faults]) == (KEPT, [13.1, 16.0])


def test_a_fault_that_was_confirmed_too_late_was_not() -> None:
    """Once it was given up, a later confirmation is of something else."""
    entries = [*story().entries(), Phase(12.9, 0, UNCONFIRMED, "nothing was seen")]
    assert judge(entries).reasons == ("power-off of k3s-w1 was not confirmed: nothing was seen",)


def test_a_fault_that_was_never_undone_makes_a_run_invalid() -> None:
    """Whether the cluster becomes whole again can then not be known."""
    verdict = judge(changed(story().entries(), Phase, lambda each: None if each.phase == UNDONE else each))
    assert told(verdict, "never undone")


def test_a_control_probe_that_failed_makes_a_run_invalid() -> None:
    """It asks this machine itself: then the others' failures may be this machine's."""
    verdict = judge(failing(story().entries(), 40, probe=CONTROL))
    assert verdict.reasons == ("the control probe failed 1 of 210 times (refused): this machine was in trouble itself",)


def test_a_drill_may_name_its_control_probe() -> None:
    """One that it names is it; where it names none it is the one that every drill has."""
    begin, *others = story().entries()
    assert isinstance(begin, Begin)
    named = {**asdict(CONTROL_PROBE), "every": 0.4}
    entries = [replace(begin, drill={**begin.drill, "probes": [named, *begin.drill["probes"]]}), *others]
    assert [(each.probe, each.every) for each in judge(entries).series] == [("page", 0.5), (CONTROL, 0.4)]
    assert [(each.probe, each.every) for each in judge([begin, *others]).series] == [("page", 0.5), (CONTROL, 0.2)]


@pytest.mark.parametrize("probe", ["page", CONTROL])
@pytest.mark.parametrize(("seconds", "outcome"), [(LATE_SECONDS - 0.0001, KEPT), (LATE_SECONDS, INVALID)])
def test_a_prober_that_is_late_makes_a_run_invalid(probe: str, seconds: float, outcome: str) -> None:
    """From 10 ms on, as the 99th percentile of a run, and the reason says how late."""
    verdict = judge(late(story().entries(), seconds, probe=probe))
    assert verdict.outcome == outcome
    assert told(verdict, f"1 % of the questions of {probe} left 10.0 ms late or more") is (outcome == INVALID)


def test_a_late_probe_that_is_not_judged_is_no_matter() -> None:
    """Only what is judged has to be punctual."""
    assert judge(late(story(window=None).entries(), 0.1)).outcome == KEPT


def test_one_late_question_in_a_hundred_is_allowed() -> None:
    """The 99th percentile is meant, not the worst; that an outage could hide behind it is noted where it is long."""
    entries = story(every=0.1).entries()
    assert judge(late(entries, 0.05, 10, 20, 30)).notes == ()
    verdict = judge(late(entries, 0.3, 10, 20, 30))
    assert verdict.outcome == KEPT
    assert noted(verdict, "a question of page left 0.3 s late")


@pytest.mark.parametrize(("seconds", "outcome"), [(2.0, KEPT), (2.1, INVALID)])
def test_a_prober_that_stood_still_for_a_window_makes_a_run_invalid(seconds: float, outcome: str) -> None:
    """Behind a question that left later than the window is long, an outage that exceeded it could hide."""
    verdict = judge(late(story(0, window=2.0, every=0.1).entries(), seconds, 200))
    assert verdict.outcome == outcome
    assert told(verdict, "the prober starved: a question of page left 2.1 s late") is (outcome == INVALID)


def test_questions_that_never_left_make_a_run_invalid() -> None:
    """A gap in the numbers is the prober's failure, and says nothing of the target."""
    verdict = judge(asked(story().entries(), lambda each: None if each.number in {50, 51, 70} else each))
    assert verdict.reasons == ("the prober starved: 3 questions of page never left, number 50 first",)


def test_questions_that_were_on_their_way_at_the_end_are_not_missed() -> None:
    """What could still have been answered when the record ended did not starve."""
    entries = changed(story().entries(), End, lambda each: replace(each, at=42.0))  # they time out after 1 s
    assert judge(asked(entries, lambda each: None if each.number == 83 else each)).outcome == KEPT
    assert told(
        judge(asked(entries, lambda each: None if each.number == 82 else each)), "1 question of page never left"
    )
    entries = changed(entries, End, lambda each: replace(each, at=41.9))
    assert judge(asked(entries, lambda each: None if each.number == 82 else each)).outcome == KEPT


def test_a_question_that_came_back_twice_damages_the_record() -> None:
    """Two answers to one question are one too many to trust either."""
    entries = story().entries()
    (again,) = [each for each in story().asked if each.number == 40]
    assert told(judge([*entries, replace(again, at=again.at + 0.1)]), "came back twice")


def test_probing_goes_on_through_the_undo() -> None:
    """A probe that stopped before the fault was undone has not seen all of it."""
    entries = story().entries()  # undone at 32 s; a question is due every 0.5 s and takes up to 1 s
    assert told(judge(asked(entries, lambda each: each if each.due <= 30 else None)), "before the fault was undone")
    assert not told(judge(asked(entries, lambda each: each if each.due <= 30.5 else None)), "was undone")


def test_all_probes_go_on_until_the_end() -> None:
    """One that stopped much earlier than the others died."""
    entries = story().entries()  # the control probe's last question is due at 41.8 s
    assert told(judge(asked(entries, lambda each: each if each.due <= 39 else None)), "before the other probes stopped")
    assert judge(asked(entries, lambda each: each if each.due <= 39.5 else None)).outcome == KEPT


@pytest.mark.parametrize("probe", ["page", CONTROL])
def test_a_probe_without_questions_makes_a_run_invalid(probe: str) -> None:
    """A probe that was wanted and never asked shows nothing."""
    assert told(judge(asked(story().entries(), lambda _: None, probe)), f"{probe} was never asked")


def test_questions_of_no_probe_are_left_out() -> None:
    """What the drill does not name is noted, and not judged."""
    (strange, *_) = story().asked
    verdict = judge([*story().entries(), replace(strange, probe="other", outcome="failed")])
    assert (verdict.outcome, verdict.notes) == (KEPT, ("questions of other are not of this drill: left out",))


@pytest.mark.parametrize(("cpu", "there"), [(21.0, False), (22.0, True)])
def test_a_prober_that_used_much_is_noted(cpu: float, there: bool) -> None:
    """More than half a core is more than a prober may use, and no reason by itself."""
    verdict = judge(changed(story().entries(), Used, lambda each: replace(each, cpu_seconds=cpu)))
    assert verdict.outcome == KEPT
    assert noted(verdict, "of a core") is there


def test_an_invalid_run_tells_its_exceeded_windows_too() -> None:
    """The worst reason comes first, and the others are kept."""
    entries = changed(story(16.0).entries(), End, lambda _: None)
    verdict = judge(entries)
    assert verdict.outcome == INVALID
    assert [("cut short" in each, "was out for" in each) for each in verdict.reasons] == [(True, False), (False, True)]
    assert judge(story(16.0).entries()).outcome == EXCEEDED
