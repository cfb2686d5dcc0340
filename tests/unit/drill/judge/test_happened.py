"""What a drill brought about, and whether that was expected."""

from __future__ import annotations

import pytest

from drkit.drill.record import (
    NEW_PRIMARY,
    POD_CREATED,
    POD_DELETED,
    POD_NOT_READY,
    POD_READY,
    WATCH_TROUBLE,
)
from drkit.drill.values import PROMOTED, RESCHEDULED
from drkit.drill.verdict import EXCEEDED, KEPT
from tests.unit.drill.judge.edits import judge, story, told
from tests.unit.drill.records import WORKER, Story

OTHER = "k3s-w2"
APP = "Deployment/docfast"


def _happened(drill: Story) -> list[tuple[str, str, float]]:
    return [(each.what, each.who, each.after) for each in judge(drill.entries()).happened]


def test_who_was_promoted_and_when_is_told() -> None:
    """Counted from when the fault was sent."""
    drill = story().promotion(4.0, 5.0).expecting(PROMOTED)
    verdict = judge(drill.entries())
    assert verdict.outcome == KEPT
    assert _happened(drill) == [(PROMOTED, "main-db-2", 5.0)]


@pytest.mark.parametrize("after", [None, -1.0])
def test_a_promotion_that_was_expected_and_not_seen_exceeds(after: float | None) -> None:
    """One before the fault is none of it."""
    drill = story().expecting(PROMOTED)
    if after is not None:
        drill.promotion(-2.0, after)
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.happened) == (EXCEEDED, ())
    assert told(verdict, "no promotion was seen")


@pytest.mark.parametrize("more", [{"from": "main-db-1", "to": "main-db-1"}, {"from": "main-db-1", "to": ""}])
def test_a_primary_that_stays_or_goes_is_no_promotion(more: dict[str, str]) -> None:
    """Another instance has to become it."""
    assert not _happened(story().event(5.0, NEW_PRIMARY, "postgres/main-db", **more))


def _moved(drill: Story, *, node: str = OTHER, owner: str = APP, created: float = 3.0) -> Story:
    """A pod of a workload, lost with its node, and another one of it."""
    return (
        drill.event(2.0, POD_NOT_READY, "docfast/docfast-aaaaaa-11111", node=WORKER, owner=APP, uid="1")
        .event(created, POD_CREATED, "docfast/docfast-aaaaaa-22222", node=node, owner=owner, uid="2")
        .event(6.0, POD_READY, "docfast/docfast-aaaaaa-22222", node=node, owner=owner, uid="2")
    )


def test_pods_that_are_ready_elsewhere_were_rescheduled() -> None:
    """A new pod of the same workload, on another node than the one that was hit."""
    drill = _moved(story()).expecting(RESCHEDULED)
    assert _happened(drill) == [(RESCHEDULED, "docfast/docfast-aaaaaa-22222", 6.0)]
    assert judge(drill.entries()).outcome == KEPT


@pytest.mark.parametrize(
    ("node", "owner", "created"),
    [(WORKER, APP, 3.0), (OTHER, "Deployment/other", 3.0), (OTHER, APP, -5.0)],
    ids=["on the same node", "of another workload", "there before"],
)
def test_other_pods_that_become_ready_were_not_rescheduled(node: str, owner: str, created: float) -> None:
    """Each of the three conditions is needed."""
    drill = _moved(story(), node=node, owner=owner, created=created).expecting(RESCHEDULED)
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.happened) == (EXCEEDED, ())
    assert told(verdict, "no pod that was hit was seen ready elsewhere")


def test_a_pod_that_was_hit_itself_is_replaced_anywhere() -> None:
    """Where a pod is the target, its successor may be on the same node, and have the same name."""
    drill = story()
    drill.target = "postgres/main-db-1"
    for after, what, uid in ((0.5, POD_DELETED, "1"), (2.0, POD_CREATED, "2"), (4.0, POD_READY, "2")):
        drill.event(after, what, "postgres/main-db-1", node=WORKER, uid=uid)
    assert _happened(drill) == [(RESCHEDULED, "postgres/main-db-1", 4.0)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("docfast/docfast-5d8f7c9b4d-x2x9z", "docfast/docfast-5d8f7c9b4d-7k2lp"),
        ("postgres/main-db-1", "postgres/main-db-3"),
        ("kube-system/coredns-64fd4b4794-abcde", "kube-system/coredns-64fd4b4794-fghij"),
    ],
)
def test_workloads_are_told_by_the_names_of_pods_where_nothing_else_says_them(old: str, new: str) -> None:
    """Without the owner, what is generated is cut off the names."""
    drill = (
        story()
        .event(2.0, POD_DELETED, old, node=WORKER)
        .event(3.0, POD_CREATED, new, node=OTHER)
        .event(6.0, POD_READY, new, node=OTHER)
    )
    assert _happened(drill) == [(RESCHEDULED, new, 6.0)]


def test_a_pod_is_rescheduled_once() -> None:
    """However often it is ready again."""
    drill = _moved(story())
    drill.event(9.0, POD_READY, "docfast/docfast-aaaaaa-22222", node=OTHER, owner=APP, uid="2")
    assert len(_happened(drill)) == 1


def test_what_was_seen_late_has_the_time_of_its_stamp() -> None:
    """While the API cannot be reached nothing is seen: then the cluster's own word counts, to the second."""
    drill = story()
    more = {"from": "main-db-1", "to": "main-db-2", "within": "12.000"}
    drill.event(15.0, NEW_PRIMARY, "postgres/main-db", stamp="2026-11-22T02:45:19Z", **more)  # the fault: at 02:45:12
    assert _happened(drill) == [(PROMOTED, "main-db-2", 7.0)]


@pytest.mark.parametrize(
    ("within", "stamp"),
    [
        ("0.900", "2026-11-22T02:45:26Z"),
        ("12.000", "2026-11-22T02:45:10Z"),
        ("12.000", "2026-11-22T02:45:28Z"),
        ("12.000", "yesterday"),
        ("soon", ""),
    ],
    ids=["seen at once", "before it can have happened", "after it was seen", "no time", "no number"],
)
def test_what_was_seen_is_preferred(within: str, stamp: str) -> None:
    """A stamp is believed only where it can be true and the sight cannot."""
    drill = story()
    more = {"from": "main-db-1", "to": "main-db-2", "within": within}
    drill.event(15.0, NEW_PRIMARY, "postgres/main-db", stamp=stamp, **more)
    assert _happened(drill) == [(PROMOTED, "main-db-2", 15.0)]


def test_what_could_not_be_watched_is_noted() -> None:
    """Once, however often it was said; whether an expected thing happened may then not be known."""
    drill = story()
    for after in (1.0, 2.0):
        drill.event(after, WATCH_TROUBLE, "pods", said="forbidden")
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.notes) == (
        KEPT,
        ("not all of pods could be watched: forbidden; what happened there may be missing",),
    )
