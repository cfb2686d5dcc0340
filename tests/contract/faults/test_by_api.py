"""Faults that the cluster's API does, at one in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from drkit.checks import rights
from drkit.cluster.api import connect
from drkit.cluster.local import LocalNode
from drkit.drill.faults import drain, find
from drkit.drill.faults.armed import Armed
from drkit.drill.faults.clean import clean
from drkit.drill.faults.drain import ANNOTATION
from drkit.drill.faults.means import Means
from drkit.drill.values import Injection
from drkit.errors import FaultFailed, PreflightFailed
from drkit.restore.etcd.scrub import NODES, PODS
from tests.contract.api_server import memory_api, resource
from tests.contract.fault_suite import LONG
from tests.contract.faults.conftest import RUN
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.api_server import MemoryApi


def pod(name: str, owner: str = "ReplicaSet") -> dict[str, Any]:
    """A pod of n1."""
    owners = [{"kind": owner, "name": "of", "uid": "o", "controller": True}] if owner else []
    metadata = {"namespace": "web", "name": name, "uid": f"uid-{name}", "ownerReferences": owners}
    return {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """A node with three pods, one of them a daemon set's; who asks has the rights of drills and no more."""
    with memory_api() as memory:
        memory.resources = [resource("nodes", "Node", namespaced=False), resource("pods", "Pod")]
        memory.add(NODES, {"metadata": {"name": "n1", "uid": "n", "resourceVersion": "7"}, "spec": {}})
        memory.add(PODS, pod("a"), pod("b"), pod("d", "DaemonSet"))
        memory.granted = rights.read(rights.DRILLS)
        yield memory


class Here:
    """Whether an undo waits, as a value of this process: machines have a suite of their own."""

    def __init__(self) -> None:
        self.waiting = False

    def place(self, *_: Any) -> str:
        """It waits."""
        self.waiting = True
        return "here"

    def act(self, *_: Any) -> str:
        """Refused where none waits."""
        if not self.waiting:
            raise FaultFailed("no undo waits there")
        return ""

    def waits(self) -> bool:
        """Whether it does."""
        return self.waiting

    def fire(self) -> str:
        """It does not any more."""
        self.waiting = False
        return "nothing was left"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    """In place of all undos on machines."""
    made = Here()
    for name in ("place", "act", "waits", "fire"):
        method = getattr(made, name)
        monkeypatch.setattr(Armed, name, lambda _, *given, method=method, **__: method(*given))
    return made


@pytest.fixture
def means(api: MemoryApi) -> Means:
    """Nothing is done to the node: see ``here``."""
    return Means(RUN, "of-the-test", {"s1": LocalNode("s1")}, servers=("s1",), kube=connect(api.access))


def node_of(api: MemoryApi) -> dict[str, Any]:
    """The node as it is."""
    return api.objects[NODES.path][0]


def names(api: MemoryApi) -> set[str]:
    """The pods that are left."""
    return {each["metadata"]["name"] for each in api.objects[PODS.path]}


DELETE = Injection("delete-pod", "web/a", 0.0, 1.0)
DRAIN = Injection("drain", "n1", 0.0, 1.0)


def test_a_pod_is_deleted_by_its_uid(api: MemoryApi, means: Means) -> None:
    """It is gone, and seen to be; there is nothing to undo, which arming says."""
    fault = find.make(DELETE, means)
    with pytest.raises(FaultFailed):
        fault.inject()
    assert fault.prepare().hits == ("n1",)
    assert "nothing to undo" in fault.arm(LONG)
    assert fault.confirm() == ""
    fault.inject()
    assert "gone" in fault.confirm()
    assert fault.undo() == fault.undo() == "nothing to undo"
    assert names(api) == {"b", "d"}


def test_another_pod_of_its_name_is_not_touched(api: MemoryApi, means: Means) -> None:
    """A stateful set's next pod has the same name: it is the confirmation, and no second victim."""
    fault = find.make(DELETE, means)
    fault.arm(LONG)
    api.objects[PODS.path][0]["metadata"]["uid"] = "another"
    assert "gone already" in fault.inject()
    assert "another pod by now" in fault.confirm()
    assert names(api) == {"a", "b", "d"}


@pytest.mark.parametrize(("grace", "sent"), [(None, None), (0, 0), (7, 7)])
def test_the_time_that_a_pod_gets(
    api: MemoryApi, means: Means, monkeypatch: pytest.MonkeyPatch, grace: int | None, sent: int | None
) -> None:
    """The scenario's seconds are asked for, and the pod's own where it names none."""
    bodies = []
    answer = api.answer

    def kept(method: str, target: str, headers: Any, body: bytes) -> Any:
        if method == "DELETE":
            bodies.append(json.loads(body))
        return answer(method, target, headers, body)

    monkeypatch.setattr(api, "answer", kept)
    fault = find.make(Injection("delete-pod", "web/a", 0.0, 1.0, {"grace": grace}), means)
    fault.arm(LONG)
    fault.inject()
    assert [each.get("gracePeriodSeconds") for each in bodies] == [sent]


def test_a_pod_that_nobody_makes_again_is_left(api: MemoryApi, means: Means) -> None:
    """A pod without an owner would be lost; one that is not there cannot be deleted."""
    api.add(PODS, pod("alone", owner=""))
    assert "nobody owns" in find.make(Injection("delete-pod", "web/alone", 0, 1), means).prepare().impossible
    missing = find.make(Injection("delete-pod", "web/missing", 0, 1), means)
    assert "no pod" in missing.prepare().impossible
    with pytest.raises(PreflightFailed):
        missing.arm(LONG)
    with pytest.raises(PreflightFailed):
        find.make(Injection("delete-pod", "no-namespace", 0, 1), means)


def test_a_deletion_that_did_nothing_is_not_confirmed(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pod with the same uid is no deleted one."""
    fault = find.make(DELETE, means)
    fault.arm(LONG)
    monkeypatch.setattr(type(means.api()), "delete", lambda *_, **__: True)
    fault.inject()
    assert fault.confirm() == ""


@pytest.mark.usefixtures("here")
def test_a_node_is_drained_and_takes_pods_again(api: MemoryApi, means: Means) -> None:
    """Cordoned with a note whose it is, its pods evicted, a daemon set's left; and uncordoned, without the note."""
    fault = find.make(DRAIN, means)
    with pytest.raises(FaultFailed):
        fault.inject()
    assert names(api) == {"a", "b", "d"}
    assert "unschedulable" not in node_of(api)["spec"]
    fault.arm(LONG)
    assert fault.confirm() == ""
    assert "2 pods evicted" in fault.inject()
    assert node_of(api)["spec"]["unschedulable"] is True
    assert node_of(api)["metadata"]["annotations"] == {ANNOTATION: f"{RUN}-0"}
    assert names(api) == {"d"}
    assert "2 have left" in fault.confirm()
    fault.undo()
    assert node_of(api)["spec"] == {}
    assert node_of(api)["metadata"]["annotations"] == {}
    fault.undo()


@pytest.mark.usefixtures("here")
def test_a_cordon_of_somebody_else_stays(api: MemoryApi, means: Means) -> None:
    """A node that was cordoned before is so afterwards."""
    node_of(api)["spec"]["unschedulable"] = True
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    assert "as before" in fault.inject()
    fault.undo()
    assert node_of(api)["spec"]["unschedulable"] is True
    assert clean("of-the-test", [], kube=means.kube).done == []


@pytest.mark.usefixtures("here")
def test_budgets_are_kept(api: MemoryApi, means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that its budget keeps is asked again until the time is over, and named."""
    monkeypatch.setattr(drain, "_DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(drain, "_AGAIN_SECONDS", 0.05)
    api.budgets.add("a")
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    said = fault.inject()
    assert "1 pods evicted" in said
    assert "keep web/a" in said
    assert names(api) == {"a", "d"}
    assert sum("pods/a/eviction" in each for each in api.requests) > 1


def test_draining_ends_with_its_time(api: MemoryApi, means: Means, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the timer has undone it meanwhile nothing more is evicted."""
    monkeypatch.setattr(drain, "_AGAIN_SECONDS", 0.05)
    api.budgets.add("a")
    api.on_request = lambda path: setattr(here, "waiting", "eviction" not in path and here.waiting)
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    fault.inject()
    assert names(api) == {"a", "d"}


@pytest.mark.usefixtures("here")
def test_a_drain_that_did_nothing_is_not_confirmed(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that acknowledges and does nothing is found out."""
    monkeypatch.setattr(type(means.api()), "patch", lambda *_, **__: {})
    monkeypatch.setattr(type(means.api()), "evict", lambda *_, **__: True)
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    fault.inject()
    assert fault.confirm() == ""


@pytest.mark.usefixtures("here")
def test_the_next_run_uncordons(api: MemoryApi, means: Means) -> None:
    """A node that a drill left cordoned takes pods again, and that is told once."""
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    fault.inject()
    assert clean("of-the-test", [], kube=means.kube).done == [f"n1 takes pods again ({RUN}-0)"]
    assert node_of(api)["spec"] == {}
    assert clean("of-the-test", [], kube=means.kube).done == []


@pytest.mark.usefixtures("here")
def test_a_cordon_that_meets_a_change_is_tried_again(api: MemoryApi, means: Means) -> None:
    """The node is changed by others all the time: the cordon is put onto the version that is there."""
    fault = find.make(DRAIN, means)
    fault.arm(LONG)
    api.fail("nodes/n1", status=409)
    api.faults[-1].matches = "^/api/v1/nodes/n1.*fieldManager"
    fault.inject()
    until(lambda: node_of(api)["spec"].get("unschedulable"))
