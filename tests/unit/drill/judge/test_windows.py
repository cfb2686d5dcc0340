"""Whether windows were kept, at their boundaries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.drill.judge.series import percentile
from drkit.drill.record import Steady
from drkit.drill.values import HTTP
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT
from tests.unit.drill.judge.edits import PAGE, changed, failing, judge, noted, story, told
from tests.unit.drill.records import typical


def test_a_drill_that_went_well_is_kept() -> None:
    """A worker with the primary that loses its power, all windows kept, nothing lost: exit code 0, without reasons."""
    verdict = judge(typical().entries())
    assert (verdict.outcome, verdict.reasons, verdict.exit_code) == (KEPT, (), 0)
    assert [(each.probe, each.session, each.longest) for each in verdict.series] == [
        ("page/docfast.example", False, 14.2),
        ("page/docfast.example", True, 14.2),
        ("write/main-db", False, 18.2),
        ("control", False, 0.0),
    ]


@pytest.mark.parametrize(
    ("out", "outcome", "beyond", "close"),
    [
        (14.0, KEPT, -1.0, False),
        (14.5, KEPT, -0.5, False),
        (15.0, KEPT, 0.0, True),
        (15.5, EXCEEDED, 0.5, False),
        (16.0, EXCEEDED, 1.0, False),
    ],
)
def test_a_window_is_exceeded_where_more_than_it_was_measured(
    out: float, outcome: str, beyond: float, close: bool
) -> None:
    """What lasts exactly as long as it may is kept; that it is closer to the window than Δ is said."""
    verdict = judge(story(out).entries())
    assert (verdict.outcome, verdict.series[0].beyond) == (outcome, beyond)
    assert noted(verdict, "closer to the window") is close


def test_by_how_much_a_window_was_exceeded_is_said_with_its_error() -> None:
    """A reason has the seconds, ± Δ, and the window."""
    verdict = judge(story(15.5, window=15.25).entries())
    assert verdict.reasons == ("page was out for 15.5 s ± 0.5 s, 0.25 s more than its window of 15.25 s",)
    assert noted(verdict, "closer to the window of 15.25 s than ± 0.5 s")
    assert verdict.exit_code == 20


def test_each_outage_has_the_window_for_itself() -> None:
    """Two outages that kept the window each are kept, and that they were longer together is noted."""
    twice = story(0).probe("twice", HTTP, window=4.0, out=[(0.0, 3.0), (8.0, 3.0)])
    verdict = judge(twice.entries())
    assert (verdict.outcome, len(verdict.series[1].outages)) == (KEPT, 2)
    assert noted(verdict, "twice kept its window each time, and was out 2 times for 6 s")


def test_an_outage_that_never_ended_is_exceeded_however_short() -> None:
    """A probe that fails when the probes stop has not come back: nobody knows when it does."""
    entries = story(0).entries()
    verdict = judge(failing(entries, 83))
    assert verdict.outcome == EXCEEDED
    assert told(verdict, "page was out when the probes stopped")
    assert verdict.series[0].beyond == 0.5


def test_a_last_outage_that_just_ended_is_kept() -> None:
    """As many successes as are needed, and not one more, end it."""
    assert judge(failing(story(0).entries(), 80)).outcome == KEPT
    assert judge(failing(story(0).entries(), 81)).outcome == EXCEEDED


def test_a_window_of_none_is_watched_and_not_judged() -> None:
    """However long what is not judged was out, the drill is kept."""
    verdict = judge(story(20, window=None).entries())
    assert (verdict.outcome, verdict.series[0].beyond, verdict.series[0].longest) == (KEPT, None, 20.0)


@pytest.mark.parametrize(
    ("window", "failed", "outcome"),
    [(0.0, False, KEPT), (0.0, True, EXCEEDED), (0.4, False, INVALID), (0.5, False, KEPT), (0.5, True, KEPT)],
)
def test_what_questions_cannot_resolve_is_not_judged(window: float, failed: bool, outcome: str) -> None:
    """A window shorter than the time between two questions cannot be told; one of 0 means that none may fail."""
    entries = story(0, window=window).entries()
    verdict = judge(failing(entries, 40) if failed else entries)
    assert verdict.outcome == outcome
    assert told(verdict, "cannot be told by questions") is (outcome == INVALID)


@pytest.mark.parametrize(("seconds", "outcome"), [(60.0, KEPT), (60.001, EXCEEDED)])
def test_the_cluster_has_to_be_whole_again_in_time(seconds: float, outcome: str) -> None:
    """Too late is the cluster's fault, and no reason to judge nothing."""
    drill = story()
    whole = drill.undone_at + seconds
    entries = changed(drill.entries(), Steady, lambda each: replace(each, at=whole) if each.when == "after" else each)
    verdict = judge(entries)
    assert verdict.outcome == outcome
    assert told(verdict, "became whole again 60.001 s after the fault was undone, 60 s were allowed") is (
        outcome == EXCEEDED
    )


def test_a_cluster_that_never_became_whole_again_exceeds() -> None:
    """The last word about it counts, and its reason is told."""
    drill = story()
    entries = [*drill.entries(), Steady(drill.stopped_at + 1, "after", holds=False, said="k3s-w1 is not ready")]
    verdict = judge(entries)
    assert verdict.outcome == EXCEEDED
    assert told(verdict, "did not become whole again after the fault: k3s-w1 is not ready")


def test_that_nobody_looked_whether_it_is_whole_is_invalid() -> None:
    """What the record does not say is no fault of the cluster."""
    entries = changed(story().entries(), Steady, lambda each: None if each.when == "after" else each)
    assert judge(entries).outcome == INVALID


@pytest.mark.parametrize(("share", "is_"), [(0.0, 1.0), (0.5, 2.0), (0.51, 3.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, is_: float) -> None:
    """The smallest one that at least so many of them do not exceed."""
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == is_
    assert percentile([], share) == 0.0


def test_stand_ins_are_named() -> None:
    """Windows of a stand-in never prove or refute what is claimed of the real thing, and the verdict says so."""
    drill = story()
    drill.stand_ins = ("the CNPG stand-in",)
    assert noted(judge(drill.entries()), "the CNPG stand-in: these windows neither prove nor refute")
    assert not noted(judge(story().entries()), "prove")


def test_what_was_predicted_stands_beside_what_was_measured() -> None:
    """Of new connections: predictions are not for long-lived ones."""
    verdict = judge(typical().entries())
    assert [(each.predicted, each.predicted_error) for each in verdict.series[:2]] == [(12.5, 3.0), (None, None)]


def test_a_long_lived_connection_keeps_the_same_window() -> None:
    """What new connections kept, the session can exceed."""
    drill = story(0).probe("both", HTTP, session=True, window=2.0)
    entries = changed(
        drill.entries(),
        type(drill.asked[0]),
        lambda each: replace(each, outcome="failed") if each.session and 24 <= each.number < 30 else each,
    )
    verdict = judge(entries)
    assert verdict.reasons == ("both (session) was out for 3 s ± 0.5 s, 1 s more than its window of 2 s",)
    assert verdict.series[0].probe == PAGE
