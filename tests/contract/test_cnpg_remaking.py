"""A cluster that lost its volumes is removed and made anew through the API, wherever that is cut short."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

import pytest

from drkit.cluster.api import HttpApi
from drkit.cluster.cnpg import PostgresCluster
from drkit.cluster.kube import FIELD_MANAGER
from drkit.cluster.transport import Transport
from drkit.errors import KubeRefused, RestoreFailed
from drkit.restore.cnpg.cluster import make, prepare
from drkit.restore.cnpg.remade import RESTORE, remake
from drkit.restore.cnpg.removal import CLAIMS, CLUSTERS, CONFIG_MAPS, PODS, SECRETS, VOLUMES
from drkit.restore.operations import Operation, patch, perform
from tests.contract.api_server import LIST_VERBS, MemoryApi, memory_api
from tests.contract.test_kube import StoppedClock
from tests.unit.test_cnpg_remade import ID, OWNER, cluster, secret, thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.kube import Object, Resource

MAIN = PostgresCluster("postgres", "main-db")
_Answer = TypeVar("_Answer")
KINDS = (CLUSTERS, SECRETS, PODS, CLAIMS, VOLUMES, CONFIG_MAPS)
LABEL = {"cnpg.io/cluster": "main-db"}


class Killed(BaseException):
    """What kill -9 is to the rest of the program."""


class Killing(HttpApi):
    """An API that is asked so many things, and no more.

    Args:
        transport: to the API.
        asked: how many requests it lives to see answered.
        served: whether the one after them still reaches the API.
    """

    def __init__(self, transport: Transport, asked: int, *, served: bool) -> None:
        super().__init__(transport)
        self._asked, self._served = asked, served

    def get(self, path: str) -> Object:
        """Count it; likewise below."""
        return self._counted(lambda: super(Killing, self).get(path))

    def pages(self, path: str, *, selector: str = "") -> Iterator[Object]:
        """See above."""
        return iter(self._counted(lambda: list(super(Killing, self).pages(path, selector=selector))))

    def apply(
        self, path: str, obj: Object, *, dry_run: bool, take_over: bool = True, manager: str = FIELD_MANAGER
    ) -> Object:
        """See above."""
        told = {"dry_run": dry_run, "take_over": take_over}
        return self._counted(lambda: super(Killing, self).apply(path, obj, manager=manager, **told))

    def patch(self, path: str, patch: Object) -> Object:
        """See above."""
        return self._counted(lambda: super(Killing, self).patch(path, patch))

    def delete(self, path: str, *, uid: str = "", orphan: bool = False, grace: int | None = None) -> bool:
        """See above."""
        return self._counted(lambda: super(Killing, self).delete(path, uid=uid, orphan=orphan, grace=grace))

    def _counted(self, ask: Callable[[], _Answer]) -> _Answer:
        self._asked -= 1
        if self._asked < 0:
            if self._served:
                ask()
            raise Killed
        return ask()


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A datastore that was brought back: a cluster with its secrets, volumes and pods, and another one beside it."""
    with memory_api() as api:
        api.resources = [*(kind.__class__(*_fields(kind), LIST_VERBS) for kind in KINDS)]
        fill(api)
        yield api


def _fields(kind: Resource) -> tuple[str, str, str, str, bool]:
    return kind.group, kind.version, kind.plural, kind.kind, kind.namespaced


def fill(api: MemoryApi) -> None:
    """Everything as it was."""
    api.objects.clear()
    api.add(CLUSTERS, cluster())
    api.add(SECRETS, secret("main-db-app", OWNER, username="docfast", password="kept"), secret("main-db-ca", OWNER))
    api.add(SECRETS, secret("other"))
    api.add(PODS, thing("main-db-1", labels=LABEL, ownerReferences=[OWNER]), thing("web"))
    finalizers = ["kubernetes.io/pvc-protection"]
    api.add(CLAIMS, thing("main-db-1", labels=LABEL, ownerReferences=[OWNER], finalizers=finalizers), thing("web"))
    volume = thing("pvc-1", spec={"claimRef": {"namespace": "postgres", "name": "main-db-1"}}, finalizers=finalizers)
    del volume["metadata"]["namespace"]
    api.add(VOLUMES, volume)


def collect_garbage(api: MemoryApi) -> None:
    """What Kubernetes does: what only an absent Cluster owned goes."""
    there = {each["metadata"]["uid"] for each in api.objects[CLUSTERS.path]}
    for path, objects in api.objects.items():
        api.objects[path] = [each for each in objects if not _is_garbage(each, there)]


def _is_garbage(obj: Object, there: set[str]) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return bool(owners) and not any(owner["uid"] in there for owner in owners)


def connected(api: MemoryApi, asked: int = 1000, *, served: bool = False) -> Killing:
    """The API's client."""
    clock = StoppedClock()
    return Killing(Transport(api.access, clock, clock.pause), asked, served=served)


def names(api: MemoryApi, kind: Resource) -> list[str]:
    """What there is of a kind."""
    return sorted(each["metadata"]["name"] for each in api.objects.get(kind.path, []))


def see_prepared(api: MemoryApi) -> None:
    """The old one is gone with its volumes; its secrets are there, and the Cluster to be made is noted."""
    collect_garbage(api)
    assert names(api, CLUSTERS) == []
    assert names(api, SECRETS) == ["main-db-app", "main-db-ca", "other"]
    assert names(api, PODS) == names(api, CLAIMS) == ["web"]
    assert names(api, VOLUMES) == []
    assert names(api, CONFIG_MAPS) == ["drkit-remade-main-db"]


def come_up(api: MemoryApi) -> None:
    """Do the operator's work."""
    found = api.objects[CLUSTERS.path][0]
    found["status"] = {"currentPrimary": "main-db-1", "targetPrimary": "main-db-1", "instanceNames": ["main-db-1"]}
    made = thing("main-db-1", labels=LABEL)
    made["status"] = {"containerStatuses": [{"name": "postgres", "ready": True, "containerID": "containerd://1"}]}
    api.add(PODS, made)


@pytest.mark.parametrize("served", [False, True])
def test_killed_anywhere_it_ends_the_same(memory: MemoryApi, served: bool) -> None:
    """Killed at any request, garbage collected at once, and called again: no secret is lost, and nothing stays."""
    for asked in range(100):
        fill(memory)
        try:
            prepare(connected(memory, asked, served=served), MAIN, {}, ID)
        except Killed:
            collect_garbage(memory)
            assert "main-db-app" in names(memory, SECRETS)
            prepare(connected(memory), MAIN, {}, ID)
            see_prepared(memory)
        else:
            see_prepared(memory)
            assert asked > 10
            return
    raise AssertionError("it never ended")


def test_a_secret_that_could_not_be_disowned_keeps_its_cluster(memory: MemoryApi) -> None:
    """A conflict about a secret is no success: nothing is deleted, and called again it goes on."""
    memory.fail("secrets/main-db-app", status=409)
    with pytest.raises(KubeRefused):
        prepare(connected(memory), MAIN, {}, ID)
    assert (names(memory, CLUSTERS), names(memory, CONFIG_MAPS)) == (["main-db"], [])
    prepare(connected(memory), MAIN, {}, ID)
    see_prepared(memory)


def test_another_object_of_the_same_name_is_left_alone(memory: MemoryApi) -> None:
    """What is asked of an object with a uid is done once it is gone, and changes no other that has its name by now."""
    api, path, before = connected(memory), CLAIMS.object_path("postgres", "web"), names(memory, CLAIMS)
    was = copy.deepcopy(memory.objects[CLAIMS.path])
    perform(api, Operation("patch", path, "", {"metadata": {"finalizers": None}}, uid="another"))
    perform(api, Operation("delete", path, "", uid="another"))
    assert (names(memory, CLAIMS), memory.objects[CLAIMS.path]) == (before, was)
    assert patch(api, path, {"metadata": {"labels": {"a": "b"}}}, uid="uid web")
    assert memory.objects[CLAIMS.path][1]["metadata"]["labels"] == {"a": "b"}
    assert not patch(api, CLAIMS.object_path("postgres", "nobody"), {})


def test_it_is_made_from_the_note(memory: MemoryApi) -> None:
    """What was noted is applied, a primary is waited for, and the note goes; called again it finds what it made."""
    memory.objects[CLUSTERS.path][0]["spec"]["externalClusters"] = [{"name": "old"}]
    warnings = prepare(connected(memory), MAIN, {}, ID)
    assert warnings == ("it names no other clusters any more (externalClusters)",)
    looks = []

    def pause(_: float) -> None:
        looks.append(1)
        come_up(memory)

    primary = make(connected(memory), MAIN, ID, pause=pause)
    assert (primary.pod, looks) == ("main-db-1", [1])
    made = copy.deepcopy(memory.objects[CLUSTERS.path][0])
    assert made["metadata"]["annotations"] == {RESTORE: ID}
    assert made["spec"]["bootstrap"]["initdb"]["owner"] == "docfast"
    assert names(memory, CONFIG_MAPS) == []
    assert prepare(connected(memory), MAIN, {}, ID) == ()
    assert make(connected(memory), MAIN, ID) == primary
    assert memory.objects[CLUSTERS.path] == [made]


def test_webhooks_that_cannot_answer_yet_are_waited_for(memory: MemoryApi) -> None:
    """While the operator starts its webhooks refuse with 500; what it refuses itself is an error at once."""
    prepare(connected(memory), MAIN, {}, ID)
    fault = memory.fail("clusters/main-db.*force", status=500, times=3)
    pauses = []

    def pause(_: float) -> None:
        pauses.append(1)
        if fault.seen == fault.times and memory.objects[CLUSTERS.path]:
            come_up(memory)

    make(connected(memory), MAIN, ID, pause=pause)
    assert len(pauses) == 4
    fill(memory)
    prepare(connected(memory), MAIN, {}, "another")
    memory.fail("clusters/main-db.*force", status=422)
    with pytest.raises(KubeRefused):
        make(connected(memory), MAIN, "another")


def test_a_cluster_of_somebody_elses_is_left_alone(memory: MemoryApi) -> None:
    """One that this restore has not made is never taken for it; without a note nobody knows what to make."""
    with pytest.raises(RestoreFailed, match="has not made"):
        make(connected(memory), MAIN, ID)
    memory.objects[CLUSTERS.path] = []
    with pytest.raises(RestoreFailed, match="nothing says"):
        make(connected(memory), MAIN, ID)
    with pytest.raises(RestoreFailed, match="no CloudNativePG cluster"):
        prepare(connected(memory), MAIN, {}, ID)


def test_in_a_fresh_cluster_nothing_need_be_prepared(memory: MemoryApi) -> None:
    """From the sealed manifests it is made as it is; one that does not come up is named with what it says."""
    made = remake(cluster(), [], {}, ID)
    memory.objects.clear()
    with pytest.raises(RestoreFailed, match=r"postgres/main-db: it has no primary yet, after 0 s"):
        make(connected(memory), MAIN, ID, made, seconds=0)
    assert names(memory, CLUSTERS) == ["main-db"]
