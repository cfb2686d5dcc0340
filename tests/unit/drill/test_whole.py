"""Whether a cluster is whole: what is told of it, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.checks import rights
from drkit.clock import to_text
from drkit.cluster.api import connect
from drkit.cluster.transport import PROMPT
from drkit.drill import look
from drkit.drill.look import Wholeness
from drkit.drill.whole import HEALTHY, KINDS, Problem, blamed, problems
from drkit.errors import KubeRefused, ProviderFailed
from drkit.providers.port import HEALTHY as WELL
from drkit.providers.port import UNHEALTHY, TargetHealth
from tests.contract.api_server import DEPLOYMENTS, MemoryApi, memory_api, resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.kube import Object

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODES = resource("nodes", "Node", namespaced=False)
PODS = resource("pods", "Pod")


def node(name: str = "w1", **changed: Any) -> Object:
    """A node that is ready."""
    conditions = [{"type": "Ready", "status": "True"}, *changed.pop("conditions", [])]
    return {"metadata": {"name": name}, "spec": changed, "status": {"conditions": conditions}}


def workload(ready: int = 2, replicas: int | None = 2, **status: Any) -> Object:
    """A Deployment or StatefulSet."""
    return {
        "metadata": {"namespace": "a", "name": "web", "generation": 3},
        "spec": {} if replicas is None else {"replicas": replicas},
        "status": {"readyReplicas": ready, "updatedReplicas": ready, "observedGeneration": 3, **status},
    }


def cluster(**status: Any) -> Object:
    """A cluster of CloudNativePG."""
    well = {"phase": HEALTHY, "readyInstances": 2, "currentPrimary": "db-1", "targetPrimary": "db-1"}
    return {"metadata": {"namespace": "p", "name": "db"}, "spec": {"instances": 2}, "status": well | status}


def pod(**metadata: Any) -> Object:
    """A pod."""
    return {"metadata": {"namespace": "a", "name": "web-1", **metadata}}


def daemons(ready: int, wanted: int) -> Object:
    """A DaemonSet."""
    return {
        "metadata": {"namespace": "a", "name": "agent"},
        "status": {"numberReady": ready, "desiredNumberScheduled": wanted},
    }


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("Node", node()),
        ("Node", node(conditions=[{"type": "EtcdIsVoter", "status": "True"}])),
        ("Deployment", workload()),
        ("Deployment", workload(0, 0)),
        ("Deployment", workload(1, None)),
        ("StatefulSet", workload(updatedReplicas=0)),
        ("DaemonSet", daemons(3, 3)),
        ("DaemonSet", daemons(0, 0)),
        ("Cluster", cluster()),
        ("Pod", pod()),
        ("Pod", pod(deletionTimestamp=to_text(NOW + timedelta(seconds=30)))),
        ("Pod", pod(deletionTimestamp=to_text(NOW - timedelta(seconds=5)))),
    ],
)
def test_what_is_well_is_not_told(kind: str, thing: Object) -> None:
    """An object whose status is as it wants it is no problem, nor is one that wants nothing."""
    assert problems({kind: [thing]}, NOW) == ()


@pytest.mark.parametrize(
    ("kind", "thing", "said"),
    [
        ("Node", {"metadata": {"name": "w1"}}, "node w1 is not ready"),
        ("Node", node(unschedulable=True), "node w1 is cordoned"),
        ("Node", node(conditions=[{"type": "EtcdIsVoter", "status": "False"}]), "node w1 is no voting member of etcd"),
        ("Deployment", workload(1), "Deployment a/web has 1 of 2 pods ready"),
        ("Deployment", workload(0, None), "Deployment a/web has 0 of 1 pods ready"),
        ("Deployment", workload(updatedReplicas=1), "Deployment a/web is being rolled out: 1 of 2 pods are new"),
        ("StatefulSet", workload(observedGeneration=2), "StatefulSet a/web was changed, and nobody has seen that yet"),
        ("DaemonSet", daemons(2, 3), "DaemonSet a/agent has 2 of 3 pods ready"),
        ("Cluster", cluster(readyInstances=1), f"PostgreSQL cluster p/db is not healthy: {HEALTHY}, 1 of 2 ready"),
        (
            "Cluster",
            cluster(phase="Failing over"),
            "PostgreSQL cluster p/db is not healthy: Failing over, 2 of 2 ready",
        ),
        ("Cluster", cluster(targetPrimary="db-2"), "PostgreSQL cluster p/db changes its primary from db-1 to db-2"),
        ("Cluster", {"metadata": {}}, "PostgreSQL cluster  is not healthy: unknown, 0 of 1 ready"),
        (
            "Pod",
            pod(deletionTimestamp="2026-03-01T11:59:00Z"),
            "pod a/web-1 should have been gone at 2026-03-01T11:59:00Z",
        ),
        ("Pod", pod(deletionTimestamp="never"), "pod a/web-1 should have been gone at never"),
    ],
)
def test_what_is_not_well_is_told(kind: str, thing: Object, said: str) -> None:
    """Each thing that is not as it should be is one sentence with its numbers."""
    assert [str(each) for each in problems({kind: [thing]}, NOW)] == [said]


def test_what_went_away_is_missed() -> None:
    """What was there before and is not is a problem; pods come and go."""
    before = {"Node": [node("w1"), node("w2")], "Deployment": [workload()], "Pod": [pod()]}
    found = problems({"Node": [node("w2")]}, NOW, expected=before)
    assert [str(each) for each in found] == ["Deployment a/web is not there any more", "node w1 is not there any more"]


def test_targets_of_the_load_balancer_count() -> None:
    """A target that the load balancer does not find healthy is a problem."""
    targets = [TargetHealth("w1", 443, WELL), TargetHealth("w2", 443, UNHEALTHY)]
    assert [str(each) for each in problems({}, NOW, targets=targets)] == [
        "the load balancer's target w2:443 is unhealthy"
    ]


PROBLEMS = st.lists(st.builds(Problem, st.sampled_from("abc"), st.sampled_from("xy")))


@given(before=PROBLEMS, after=PROBLEMS)
def test_who_was_unwell_before_is_not_blamed(before: list[Problem], after: list[Problem]) -> None:
    """What is blamed is found now, and of those alone that were well before; what was well before is all there."""
    told = blamed(after, before)
    unwell = {each.who for each in before}
    assert set(told) | {each for each in after if each.who in unwell} == set(after)
    assert not unwell & {each.who for each in told}


@given(
    thing=st.dictionaries(
        st.sampled_from(["metadata", "spec", "status"]),
        st.none() | st.integers() | st.dictionaries(st.sampled_from(["replicas", "conditions", "name"]), st.text()),
    )
)
def test_a_malformed_object_is_looked_at_all_the_same(thing: Object) -> None:
    """Whatever the API hands over, the answer is sentences."""
    assert all(str(each) for each in problems({kind: [thing] for kind in KINDS}, NOW))


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        """Wall-clock time."""
        return NOW

    def monotonic(self) -> float:
        """Seconds."""
        return 0.0


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster with a node and a workload; who asks has the rights of drills and no more."""
    with memory_api() as made:
        made.resources = [NODES, PODS, DEPLOYMENTS]
        made.granted = rights.read(rights.DRILLS)
        made.add(NODES, node())
        made.add(DEPLOYMENTS, workload())
        yield made


def test_a_live_cluster_is_compared_with_itself(memory: MemoryApi) -> None:
    """What was unwell at the begin is told once and not again; what became unwell, or went away, is."""
    memory.put(NODES, node("w2", unschedulable=True))
    wholeness = Wholeness(connect(memory.access, PROMPT), Noon())
    assert [str(each) for each in wholeness.begin(look.objects(connect(memory.access)))] == ["node w2 is cordoned"]
    assert wholeness.problems() == []
    memory.put(DEPLOYMENTS, workload(1))
    memory.remove(NODES, node())
    assert wholeness.problems() == ["Deployment a/web has 1 of 2 pods ready", "node w1 is not there any more"]
    memory.put(DEPLOYMENTS, workload())
    memory.put(NODES, node())
    assert wholeness.problems() == []


def _silent() -> list[TargetHealth]:
    raise ProviderFailed("the load balancer does not answer")


@pytest.mark.parametrize(("targets", "said"), [(None, "503"), (_silent, "load balancer")])
def test_who_cannot_be_asked_is_a_problem(
    memory: MemoryApi, targets: Callable[[], list[TargetHealth]] | None, said: str
) -> None:
    """While the API or the load balancer does not answer, the cluster is not called whole, and nothing is raised."""
    wholeness = Wholeness(connect(memory.access, PROMPT), Noon(), targets)
    if targets is None:
        memory.fail("nodes", times=100, status=503)
    assert said in wholeness.problems()[0]


def test_a_snapshot_of_a_live_cluster(memory: MemoryApi) -> None:
    """Nodes, targets and addresses are in the snapshot; kinds that the cluster does not have are none."""
    found = look.taken(
        look.objects(connect(memory.access)),
        targets=[TargetHealth("w1", 443, WELL), TargetHealth("w1", 80, WELL)],
        health=["https://docfast.example"],
        servers=[memory.url],
    )
    assert [each.name for each in found.nodes] == ["w1"]
    assert (found.targets, found.health, found.servers) == (("w1",), ("https://docfast.example",), (memory.url,))
    assert found.postgres == ()
    assert look.taken(look.objects(connect(memory.access))).targets is None


def test_a_cluster_that_may_not_be_looked_at(memory: MemoryApi) -> None:
    """Who may not list nodes is told so, and no snapshot without them is made."""
    memory.fail("nodes", status=403)
    with pytest.raises(KubeRefused):
        look.objects(connect(memory.access))
