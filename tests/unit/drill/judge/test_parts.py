"""Where the seconds of an outage went."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.drill.record import (
    ENDPOINT_REMOVED,
    NODE_NOT_READY,
    NODE_TAINTED,
    POD_CREATED,
    POD_DELETED,
    POD_NOT_READY,
    POD_READY,
    TARGET_UNHEALTHY,
    Begin,
)
from drkit.drill.values import DNS, HTTP, KUBE_API, SQL_READ, SQL_WRITE
from drkit.drill.verdict import (
    BALANCER,
    DETECTION,
    ENDPOINTS,
    OTHER,
    PROMOTION,
    RECONNECTION,
    RESCHEDULING,
    Outage,
)
from tests.unit.drill.judge.edits import failing, judge, story
from tests.unit.drill.records import WORKER, Story

SERVICE = "docfast/docfast"


def _outage(drill: Story, kind: str, begin: float = 0.0, end: float = 10.0) -> Outage:
    """The outage of a probe of a kind in that story, between these seconds after the fault."""
    drill.probe("it", kind, every=0.5, window=None, out=[(begin, end - begin)])
    return next(each for each in judge(drill.entries()).series if each.probe == "it").outages[0]


def _parts(drill: Story, kind: str, begin: float = 0.0, end: float = 10.0) -> list[tuple[str, float]]:
    return [(each.name, round(each.seconds, 6)) for each in _outage(drill, kind, begin, end).parts]


def test_what_happened_last_is_what_the_outage_waited_for() -> None:
    """A load balancer that was slower than the cluster took all of it: noticing the node sooner would gain nothing."""
    drill = story().event(4.0, NODE_NOT_READY, WORKER).event(4.2, ENDPOINT_REMOVED, SERVICE)
    drill.event(9.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, HTTP) == [(BALANCER, 9.0), (RECONNECTION, 1.0)]


def test_a_cluster_that_is_slower_than_the_balancer_took_all_of_it() -> None:
    """Then it is noticing the loss, and taking the endpoints away."""
    drill = story().event(4.0, NODE_NOT_READY, WORKER).event(4.2, ENDPOINT_REMOVED, SERVICE)
    drill.event(3.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, HTTP) == [(DETECTION, 4.0), (ENDPOINTS, 0.2), (RECONNECTION, 5.8)]


@pytest.mark.parametrize(
    ("what", "who", "more"),
    [
        (NODE_NOT_READY, WORKER, {}),
        (NODE_TAINTED, WORKER, {"taint": "node.kubernetes.io/unreachable:NoExecute"}),
        (POD_NOT_READY, "docfast/docfast-1", {"node": WORKER}),
        (POD_DELETED, "docfast/docfast-1", {"node": WORKER}),
    ],
)
def test_what_shows_that_a_loss_was_noticed(what: str, who: str, more: dict[str, str]) -> None:
    """A node or a pod on it that is not ready, a taint that says so."""
    drill = story().event(4.0, what, who, **more).event(5.0, ENDPOINT_REMOVED, SERVICE)
    assert _parts(drill, HTTP)[:2] == [(DETECTION, 4.0), (ENDPOINTS, 1.0)]


@pytest.mark.parametrize(
    ("what", "who", "more"),
    [
        (NODE_TAINTED, WORKER, {"taint": "node.kubernetes.io/unschedulable:NoSchedule"}),
        (POD_NOT_READY, "docfast/docfast-1", {"node": "k3s-w2"}),
    ],
)
def test_what_shows_nothing_of_a_loss_is_not_taken_for_it(what: str, who: str, more: dict[str, str]) -> None:
    """Without evidence for when it was noticed, the time before is not explained."""
    drill = story().event(4.0, what, who, **more).event(5.0, ENDPOINT_REMOVED, SERVICE)
    assert _parts(drill, HTTP) == [(OTHER, 5.0), (RECONNECTION, 5.0)]


@pytest.mark.parametrize("kind", [SQL_WRITE, SQL_READ])
def test_a_database_waits_for_its_promotion(kind: str) -> None:
    """From when the operator wanted another primary; the load balancer and the endpoints before it are no matter."""
    drill = story().event(2.0, NODE_NOT_READY, WORKER).promotion(3.0, 8.0)
    drill.event(6.0, ENDPOINT_REMOVED, SERVICE).event(8.5, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, kind) == [(DETECTION, 3.0), (PROMOTION, 5.0), (RECONNECTION, 2.0)]


def test_endpoints_that_change_after_a_promotion_had_to_be_waited_for() -> None:
    """The service of the primary leads to the new one only then."""
    drill = story().promotion(3.0, 8.0).event(9.0, ENDPOINT_REMOVED, "postgres/main-db-rw")
    assert _parts(drill, SQL_WRITE) == [(DETECTION, 3.0), (PROMOTION, 5.0), (ENDPOINTS, 1.0), (RECONNECTION, 1.0)]


@pytest.mark.parametrize(
    ("done", "expected"),
    [(10.9, [(DETECTION, 3.0), (PROMOTION, 7.0)]), (11.1, [(OTHER, 10.0)])],
)
def test_a_promotion_may_be_seen_shortly_after_the_first_success(
    done: float, expected: list[tuple[str, float]]
) -> None:
    """A new primary answers before the cluster's status names it; what is seen later had nothing to do with it."""
    drill = story()
    drill.promotion(3.0, done)
    assert _parts(drill, SQL_WRITE) == expected


def test_a_page_waits_for_a_promotion_only_where_that_came_last() -> None:
    """A page without a database is back when the way to it is; one with a database is not."""
    drill = story().promotion(3.0, 6.0).event(7.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, HTTP) == [(BALANCER, 7.0), (RECONNECTION, 3.0)]
    drill = story().promotion(3.0, 8.0).event(7.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, HTTP) == [(DETECTION, 3.0), (PROMOTION, 5.0), (RECONNECTION, 2.0)]


@pytest.mark.parametrize("kind", [HTTP, DNS])
def test_an_application_without_a_second_replica_waits_until_it_runs_elsewhere(kind: str) -> None:
    """From when the loss was noticed until a pod of it is ready on another node."""
    drill = story().event(4.0, NODE_NOT_READY, WORKER)
    drill.event(4.1, POD_NOT_READY, "docfast/docfast-1", node=WORKER, owner="Deployment/docfast")
    drill.event(4.2, ENDPOINT_REMOVED, SERVICE)
    for after, what in ((7.0, POD_CREATED), (9.0, POD_READY)):
        drill.event(after, what, "docfast/docfast-2", node="k3s-w2", owner="Deployment/docfast")
    assert _parts(drill, kind) == [(DETECTION, 4.0), (RESCHEDULING, 5.0), (RECONNECTION, 1.0)]


def test_what_was_noticed_before_the_first_failure_took_none_of_the_outage() -> None:
    """The part that was over when the outage began is not in it."""
    drill = story().event(1.0, NODE_NOT_READY, WORKER).event(5.0, ENDPOINT_REMOVED, SERVICE)
    assert _parts(drill, HTTP, begin=2.0) == [(ENDPOINTS, 3.0), (RECONNECTION, 5.0)]


def test_an_outage_that_ended_with_the_undo_was_not_taken_over() -> None:
    """Where nothing else happened after the undo began, that ended it, and the time before is no failover's."""
    drill = story().event(4.0, NODE_NOT_READY, WORKER).event(4.2, ENDPOINT_REMOVED, SERVICE)  # undone from 19.5 s on
    outage = _outage(drill, KUBE_API, end=22.0)
    assert [(each.name, each.seconds) for each in outage.parts] == [(OTHER, 19.5), (RECONNECTION, 2.5)]
    assert outage.parts[0].why == "nothing took over before the fault was undone"


def test_the_undo_of_what_does_not_last_ends_nothing() -> None:
    """A pod that was deleted stays deleted: taking away what watched over it brought nothing back."""
    drill = story()
    drill.lasts = 2.0
    before = _parts(drill, HTTP)
    begin, *others = drill.entries()
    assert isinstance(begin, Begin)
    injections = [{**each, "lasts": 0.0} for each in begin.drill["injections"]]
    series = judge([replace(begin, drill={**begin.drill, "injections": injections}), *others]).series
    assert before == [(OTHER, 1.5), (RECONNECTION, 8.5)]
    assert [each.name for each in series[1].outages[0].parts] == [OTHER]


def test_an_outage_that_nothing_explains_is_not_explained() -> None:
    """Neither before it nor after it, nor of another kind."""
    drill = story().event(-1.0, TARGET_UNHEALTHY, "k3s-w2:443").event(11.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    assert _parts(drill, HTTP) == [(OTHER, 10.0)]
    assert _parts(story().event(5.0, TARGET_UNHEALTHY, f"{WORKER}:443"), DNS) == [(OTHER, 10.0)]
    assert _parts(story().event(0.0, TARGET_UNHEALTHY, f"{WORKER}:443"), HTTP) == [(OTHER, 10.0)]


def test_a_loss_that_was_noticed_explains_the_time_until_then() -> None:
    """The rest stays open where nothing shows what ended the outage."""
    assert _parts(story().event(4.0, NODE_NOT_READY, WORKER), HTTP) == [(DETECTION, 4.0), (OTHER, 6.0)]


def test_an_outage_that_did_not_end_has_no_reconnection() -> None:
    """What came after the last thing that was seen stays open."""
    drill = story(0).event(29.0, TARGET_UNHEALTHY, f"{WORKER}:443")
    (page, _) = judge(failing(drill.entries(), *range(81, 84))).series
    assert page.outages[0].first_success is None
    assert [(each.name, each.seconds) for each in page.outages[0].parts] == [(BALANCER, 0.5), (OTHER, 0.5)]


def test_what_shows_a_part_is_told() -> None:
    """The event, and the cluster's own stamp where there is one."""
    drill = story().event(5.0, TARGET_UNHEALTHY, f"{WORKER}:443", stamp="2026-11-22T02:45:16Z")
    assert _outage(drill, HTTP).parts[0].why == "target-unhealthy: k3s-w1:443, stamped 2026-11-22T02:45:16Z"
