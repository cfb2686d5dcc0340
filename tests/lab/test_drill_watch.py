"""The watcher and the Lease of a drill at a real API server, which is killed and started again. No nodes."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.api import connect
from drkit.cluster.transport import PROMPT
from drkit.drill import lease, record
from drkit.drill.lease import Timing, hold, look
from drkit.drill.record import Event, Recorder
from drkit.drill.watch import servers
from drkit.drill.watch.watcher import Watcher
from drkit.errors import ClusterBusy
from tests.lab.planes import Plane, plane
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600), pytest.mark.xdist_group("control-plane")]
QUICK = Timing(lasts=2, renewed=0.3, look=0.1)
_SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.42.1.5"]}],
}


@pytest.fixture(scope="module")
def real() -> Iterator[Plane]:
    """A control plane."""
    with plane() as made:
        yield made


def test_a_real_api_is_watched_through_its_death(real: Plane) -> None:
    """A change is seen at once, with the API's own time; an API that dies is lost, and watched again after."""
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    with TemporaryDirectory() as directory:
        path = Path(directory) / "record.jsonl"

        def seen(what: str) -> list[Event]:
            return [each for each in record.read(path) if isinstance(each, Event) and each.what == what]

        apis = [connect(real.running.access, PROMPT)]
        with Recorder(path, time.monotonic()) as recorder, Watcher(recorder, apis) as watcher:
            assert watcher.missing(60) == ()
            real.api.create(slices, _SLICE)
            until(lambda: seen(record.ENDPOINT_ADDED))
            real.running.stop_api()
            until(lambda: seen(record.API_LOST))
            real.running.start_api()
            until(lambda: seen(record.API_BACK))
            real.api.delete(f"{slices}/web-1")
            until(lambda: seen(record.ENDPOINT_REMOVED))
        (added,) = seen(record.ENDPOINT_ADDED)
        assert (added.who, added.more) == ("default/web", {"address": "10.42.1.5"})
        assert added.stamp
        (lost,) = seen(record.API_LOST)
        assert float(lost.more[record.WITHIN]) >= servers.SILENCE
        assert not seen(record.WATCH_TROUBLE)


def test_a_real_api_knows_the_lease(real: Plane) -> None:
    """The Lease is made, renewed, refused to another, released, and taken over from who does not renew it."""
    api = connect(real.running.access, PROMPT)
    with hold(api, "drill one", timing=QUICK) as holding:
        first = look(api)
        assert first is not None
        until(lambda: look(api) != first)
        with pytest.raises(ClusterBusy, match="drill one"), hold(api, "drill two", timing=QUICK):
            raise AssertionError
        assert not holding.lost
    assert look(api) is None
    dead = {"spec": {"holderIdentity": "dead", "renewTime": "2099-01-01T00:00:00.000000Z"}}
    api.patch(f"/apis/coordination.k8s.io/v1/namespaces/{lease.NAMESPACE}/leases/{lease.NAME}", dead)
    began = time.monotonic()
    with hold(api, "drill three", timing=QUICK):
        assert time.monotonic() - began >= QUICK.lasts
