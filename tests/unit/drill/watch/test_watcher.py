"""The watcher, against an API in memory over real HTTP."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.checks import rights
from drkit.cluster.api import connect
from drkit.cluster.transport import PROMPT
from drkit.drill import record
from drkit.drill.record import Event, Recorder
from drkit.drill.watch import servers
from drkit.drill.watch.follow import KINDS
from drkit.drill.watch.watcher import Watcher
from drkit.errors import ProviderFailed
from drkit.providers.port import HEALTHY, UNHEALTHY, TargetHealth
from tests.contract.api_server import NAMESPACES, MemoryApi, memory_api, resource
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drkit.cluster.kube import Object

NODES = resource("nodes", "Node", namespaced=False)
PODS = resource("pods", "Pod")
SLICES = resource("endpointslices", "EndpointSlice", "discovery.k8s.io")
CLUSTERS = resource("clusters", "Cluster", "postgresql.cnpg.io")
PATIENCE = 20.0


def serves(api: MemoryApi) -> MemoryApi:
    """The kinds that a watcher follows."""
    api.resources = [NAMESPACES, NODES, PODS, SLICES, CLUSTERS]
    api.add(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}})
    return api


@pytest.fixture
def api() -> Iterator[MemoryApi]:
    """A cluster with one node; who asks has the rights of drills and no more."""
    with memory_api() as made:
        serves(made).add(NODES, node(ready=True))
        made.granted = rights.read(rights.DRILLS)
        yield made


def node(name: str = "w1", *, ready: bool) -> Object:
    """A node."""
    return {
        "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": f"since {ready}"}]},
    }


class Watched:
    """A record that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, *what: str) -> list[Event]:
        """All entries so far, or those with these words."""
        found = [each for each in record.read(self.path) if isinstance(each, Event)]
        return [each for each in found if not what or each.what in what]

    def wait(self, what: str, number: int = 1) -> Event:
        """The entry with this word, as soon as it is there so many times."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.events(what)
            if len(found) >= number:
                return found[number - 1]
            threading.Event().wait(0.01)
        raise AssertionError(f"no {what} but {self.events()}")


@contextmanager
def watching(
    directory: Path,
    apis: Sequence[MemoryApi],
    targets: Callable[[], list[TargetHealth]] | None = None,
) -> Iterator[Watched]:
    """A watcher of all that these APIs have, from when it has seen all."""
    path = directory / "record.jsonl"
    connected = [connect(each.access, PROMPT) for each in apis]
    with Recorder(path, time.monotonic()) as recorder, Watcher(recorder, connected, targets, 0.05) as watcher:
        assert watcher.missing(PATIENCE) == ()
        yield Watched(path)


def test_changes_are_in_the_record_at_once(api: MemoryApi, tmp_path: Path) -> None:
    """What changes is written with the cluster's own time, and without an uncertainty; what was there before is not."""
    with watching(tmp_path, [api]) as seen:
        api.put(NODES, node(ready=False))
        found = seen.wait(record.NODE_NOT_READY)
        assert (found.who, found.stamp, found.more) == ("w1", "since False", {})
        api.remove(NODES, node(ready=False))
        assert seen.wait(record.NODE_NOT_READY, 2).more == {"gone": "yes"}
        assert len(seen.events()) == 2


def test_every_kind_is_followed(api: MemoryApi, tmp_path: Path) -> None:
    """Nodes, pods, endpoints and database clusters are watched side by side."""
    named: dict[str, Any] = {"namespace": "a", "name": "one"}
    with watching(tmp_path, [api]) as seen:
        api.put(NODES, node("w2", ready=True))
        api.put(PODS, {"metadata": named})
        api.put(SLICES, {"metadata": dict(named), "endpoints": [{"addresses": ["10.42.1.5"]}]})
        api.put(CLUSTERS, {"metadata": dict(named), "status": {"currentPrimary": "one-1", "targetPrimary": "one-1"}})
        for what in (record.NODE_READY, record.POD_CREATED, record.ENDPOINT_ADDED, record.NEW_PRIMARY):
            seen.wait(what)


def test_a_watch_that_is_cut_off_begins_again(api: MemoryApi, tmp_path: Path) -> None:
    """A connection that breaks loses nothing: what happened between is told, and how late that may be."""
    with watching(tmp_path, [api]) as seen:
        until(lambda: len(api.watches) == len(KINDS))
        began = time.monotonic()
        api.cut_watches()
        with api.lock:  # nobody is told of this
            api.objects[NODES.path] = [node(ready=False)]
        found = seen.wait(record.NODE_NOT_READY)
        assert 0 < float(found.more[record.WITHIN]) < time.monotonic() - began + servers.EVERY + 1


def test_an_api_that_is_silent_is_lost_and_comes_back(
    api: MemoryApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer any more, with its connections open, is told; and what it did meanwhile, late."""
    monkeypatch.setattr(servers, "SILENCE", 1.0)
    monkeypatch.setattr(servers, "EVERY", 0.1)
    with watching(tmp_path, [api]) as seen:
        until(lambda: len(api.watches) == len(KINDS))  # what is put there below comes without an event
        api.present.clear()
        lost = seen.wait(record.API_LOST)
        assert lost.who == api.url
        assert float(lost.more[record.WITHIN]) >= 1.0
        with api.lock:
            api.objects[NODES.path] = [node(ready=False)]
        api.present.set()
        back = seen.wait(record.API_BACK)
        found = seen.wait(record.NODE_NOT_READY)
        assert float(found.more[record.WITHIN]) >= found.at - lost.at
        assert found.at - back.at < 1.0 + 1.0  # a list on a machine that may be busy
        api.put(NODES, node(ready=True))
        assert record.WITHIN not in seen.wait(record.NODE_READY).more


def test_another_server_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several servers of one cluster, what the first one does not tell any more is watched at the next one."""
    monkeypatch.setattr(servers, "SILENCE", 1.0)
    monkeypatch.setattr(servers, "EVERY", 0.1)
    with ExitStack() as stack:
        both = [serves(stack.enter_context(memory_api())) for _ in range(2)]
        for each in both:
            each.add(NODES, node(ready=True))
        seen = stack.enter_context(watching(tmp_path, both))
        both[0].present.clear()
        assert seen.wait(record.API_LOST).who == both[0].url
        for each in both:
            each.put(NODES, node(ready=False))
        seen.wait(record.NODE_NOT_READY)
        assert not seen.events(record.API_BACK)
        both[0].present.set()
        assert seen.wait(record.API_BACK).who == both[0].url
        assert len(seen.events(record.NODE_NOT_READY)) == 1


def test_a_kind_that_may_not_be_watched_is_listed(api: MemoryApi, tmp_path: Path) -> None:
    """Who may list and not watch sees changes within half a second and says so, and why."""
    api.fail("nodes.*watch=true", times=1000, status=403)
    with watching(tmp_path, [api]) as seen:
        assert "403" in seen.wait(record.WATCH_TROUBLE).more["said"]
        api.put(NODES, node(ready=False))
        assert float(seen.wait(record.NODE_NOT_READY).more[record.WITHIN]) > 0
        assert [each.who for each in seen.events(record.WATCH_TROUBLE)] == ["nodes"]


def test_a_cluster_without_database_clusters(tmp_path: Path) -> None:
    """A kind that is not served is not waited for and is no trouble."""
    with memory_api() as api:
        serves(api).resources.remove(CLUSTERS)
        with watching(tmp_path, [api]) as seen:
            assert not seen.events()


def test_changes_that_were_forgotten_are_found_by_listing(api: MemoryApi, tmp_path: Path) -> None:
    """A server that has no changes since the version that was named any more is asked for all again."""
    with watching(tmp_path, [api]) as seen:
        api.forgotten = 1_000_000
        api.cut_watches()
        api.put(NODES, node(ready=False))
        seen.wait(record.NODE_NOT_READY)
        api.forgotten = 0
        api.put(NODES, node(ready=True))
        seen.wait(record.NODE_READY)


def test_nobody_answers(tmp_path: Path) -> None:
    """A watcher without a cluster says that it sees nothing, and ends when it is told to."""
    with memory_api() as gone:
        access = gone.access
    with Recorder(tmp_path / "record.jsonl", time.monotonic()) as recorder:
        with Watcher(recorder, [connect(access, PROMPT)]) as watcher:
            assert watcher.missing(0.1) == tuple(kind.name for kind in KINDS)
            assert Watched(tmp_path / "record.jsonl").wait(record.API_LOST).who == access.server
        assert not [each for each in threading.enumerate() if each.name.startswith("follow")]


def test_a_balancers_targets_are_followed(api: MemoryApi, tmp_path: Path) -> None:
    """The load balancer's word on its targets is in the record with its resolution; its trouble is told once."""
    found = [[TargetHealth("w1", 443, HEALTHY)]]

    def ask() -> list[TargetHealth]:
        if not found:
            raise ProviderFailed("it does not answer")
        return found[0]

    with watching(tmp_path, [api], ask) as seen:
        found[0] = [TargetHealth("w1", 443, UNHEALTHY)]
        event = seen.wait(record.TARGET_UNHEALTHY)
        assert event.who == "w1:443"
        assert float(event.more[record.WITHIN]) > 0
        kept = found.pop()
        assert seen.wait(record.WATCH_TROUBLE).more["said"] == "it does not answer"
        found.append([TargetHealth("w1", 443, HEALTHY)])
        seen.wait(record.TARGET_HEALTHY)
        assert len(seen.events(record.WATCH_TROUBLE)) == 1
        assert kept


def test_a_record_that_cannot_be_written_ends_nothing(api: MemoryApi) -> None:
    """Where the disk is full the watcher goes on, and raises nothing."""
    full = Recorder(Path("/dev/full"), time.monotonic())
    with full, Watcher(full, [connect(api.access, PROMPT)]) as watcher:
        assert watcher.missing(PATIENCE) == ()
        api.put(NODES, node(ready=False))
        requests = len(api.requests)
        while len(api.requests) < requests + 2:
            threading.Event().wait(0.01)
        assert all(each.is_alive() for each in watcher._threads)
