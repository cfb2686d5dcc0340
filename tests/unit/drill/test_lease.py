"""One drkit at a time works on a cluster; against an API in memory over real HTTP."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from drkit.checks import rights
from drkit.cluster.api import connect
from drkit.cluster.transport import PROMPT
from drkit.drill import lease
from drkit.drill.lease import Timing, hold, look
from drkit.errors import ClusterBusy, KubeRefused, KubeUnreachable
from tests.contract.api_server import MemoryApi, memory_api, resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

LEASES = resource("leases", "Lease", "coordination.k8s.io")
QUICK = Timing(lasts=1, renewed=0.1, look=0.02)
PATIENCE = 20.0


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster without a Lease of drkit's; who asks has the rights of drills and no more."""
    with memory_api() as made:
        made.resources = [LEASES]
        made.granted = rights.read(rights.DRILLS)
        yield made


def left(memory: MemoryApi, **spec: Any) -> Object:
    """A Lease that somebody left."""
    found: Object = {
        "metadata": {"namespace": lease.NAMESPACE, "name": lease.NAME, "annotations": {"drkit/work": "drill other"}},
        "spec": {
            "holderIdentity": "other",
            "leaseDurationSeconds": 1,
            "acquireTime": "2026-03-01T12:00:00.000000Z",
            "renewTime": "2026-03-01T12:00:00.000000Z",
            "leaseTransitions": 4,
            **spec,
        },
    }
    memory.put(LEASES, found)
    return found


def now(memory: MemoryApi) -> dict[str, Any]:
    """The Lease's spec."""
    spec: dict[str, Any] = memory.objects[LEASES.path][0]["spec"]
    return spec


def wait_until(condition: Any) -> None:
    """Wait for it."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.01)


def test_it_is_held_renewed_and_released(memory: MemoryApi) -> None:
    """Who holds it is named with the work and since when, renews it, and lets it go at the end."""
    api = connect(memory.access, PROMPT)
    assert look(api) is None
    with hold(api, "drill worker-down", timing=QUICK) as holding:
        first = look(api)
        assert first is not None
        assert (first.holder, first.work, holding.lost) == (holding.identity, "drill worker-down", "")
        wait_until(lambda: now(memory)["renewTime"] != first.renewed)
        assert now(memory)["acquireTime"] == first.since
    assert look(api) is None
    with hold(api, "drill again", timing=QUICK) as holding:
        assert now(memory)["holderIdentity"] == holding.identity
        assert now(memory)["leaseTransitions"] == 1


def test_of_two_at_once_one_is_refused(memory: MemoryApi) -> None:
    """The second one is told who holds it, for what and since when, as soon as that one is seen to live."""
    api = connect(memory.access, PROMPT)
    with hold(api, "drill worker-down", timing=QUICK) as holding:
        said: list[str] = []
        with pytest.raises(ClusterBusy) as caught, hold(api, "drill other", timing=QUICK, say=said.append):
            raise AssertionError
        assert caught.value.exit_code == 16
        assert "drill worker-down" in caught.value.message
        assert holding.identity in caught.value.message
        assert now(memory)["acquireTime"] in caught.value.message
        assert len(said) == 1
        assert not holding.lost


@pytest.mark.parametrize("there", [False, True])
def test_of_many_at_once_one_wins(memory: MemoryApi, *, there: bool) -> None:
    """However many try at the same moment, where there is no Lease or a dead one's, one holds it alone."""
    if there:
        left(memory)
    api = connect(memory.access, PROMPT)
    together = threading.Barrier(6)
    over, inside, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def attempt() -> str:
        together.wait()
        try:
            with hold(api, "drill", timing=QUICK) as holding:
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                over.wait(PATIENCE)
                inside[0] -= 1
                return holding.lost or "held"
        except ClusterBusy:
            return "refused"

    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(attempt) for _ in range(6)]
        wait_until(lambda: sum(each.done() for each in running) == 5)
        over.set()
        assert sorted(each.result() for each in running) == ["held", *["refused"] * 5]
    assert most == [1]


@pytest.mark.parametrize("renewed", ["2020-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z", None])
def test_a_dead_ones_is_taken_over(memory: MemoryApi, renewed: str | None) -> None:
    """A Lease that nobody renews for as long as it lasts is taken, whatever the clock of who left it said."""
    left(memory, renewTime=renewed)
    began = time.monotonic()
    with hold(connect(memory.access, PROMPT), "drill", timing=QUICK) as holding:
        assert time.monotonic() - began >= 1.0
        assert (now(memory)["holderIdentity"], now(memory)["leaseTransitions"]) == (holding.identity, 5)


def test_who_renews_with_a_wrong_clock_lives(memory: MemoryApi) -> None:
    """A holder whose clock is years behind is not taken for dead."""
    left(memory, renewTime="2001-01-01T00:00:00.000000Z")
    over = threading.Event()

    def renew() -> None:
        for second in range(60):
            left(memory, renewTime=f"2001-01-01T00:00:{second:02}.000000Z")
            if over.wait(0.2):
                return

    with ThreadPoolExecutor() as pool:
        renewing = pool.submit(renew)
        with pytest.raises(ClusterBusy), hold(connect(memory.access, PROMPT), "drill", timing=QUICK):
            raise AssertionError
        over.set()
        renewing.result()
    assert now(memory)["holderIdentity"] == "other"


def test_an_answer_that_was_lost_is_no_other_holder(memory: MemoryApi) -> None:
    """Whoever has the Lease and was not told so finds himself in it, and is not kept out by himself."""
    memory.fail("leases", times=2, cut_after=0)
    with hold(connect(memory.access), "drill", timing=QUICK) as holding:
        assert now(memory)["holderIdentity"] == holding.identity
    memory.fail("leases/drkit[?]", times=1, cut_after=0)
    with hold(connect(memory.access), "drill", timing=QUICK) as holding:
        assert now(memory)["holderIdentity"] == holding.identity


def test_a_holder_learns_that_it_was_taken(memory: MemoryApi) -> None:
    """Who was away for longer than it lasts, and finds another one in it, says so and takes nothing back."""
    with hold(connect(memory.access, PROMPT), "drill", timing=QUICK) as holding:
        left(memory)
        wait_until(lambda: holding.lost)
        assert "other" in holding.lost
    assert now(memory)["holderIdentity"] == "other"


def test_a_lease_that_somebody_deleted_is_lost(memory: MemoryApi) -> None:
    """Where the Lease is gone, its holder does not know any more that he is alone."""
    with hold(connect(memory.access, PROMPT), "drill", timing=QUICK) as holding:
        memory.remove(LEASES, left(memory, holderIdentity=holding.identity))
        wait_until(lambda: holding.lost)


def test_what_others_change_of_it_does_not_lose_it(memory: MemoryApi) -> None:
    """A label that somebody puts on the Lease makes another version of it, and no other holder."""
    api = connect(memory.access, PROMPT)
    with hold(api, "drill", timing=QUICK) as holding:
        before = now(memory)["renewTime"]
        api.patch(
            f"/apis/coordination.k8s.io/v1/namespaces/{lease.NAMESPACE}/leases/{lease.NAME}",
            {"metadata": {"labels": {"seen": "yes"}}},
        )
        wait_until(lambda: now(memory)["renewTime"] > before)
        assert not holding.lost
    assert look(api) is None


def test_an_api_that_is_away_costs_nothing_but_time(memory: MemoryApi) -> None:
    """The holder goes on while the API is away, as in a drill that takes it, and renews when it is back."""
    with hold(connect(memory.access, PROMPT), "drill", timing=QUICK) as holding:
        memory.fail("leases", times=5, status=503)
        wait_until(lambda: memory.faults[-1].seen == 5)
        before = now(memory)["renewTime"]
        wait_until(lambda: now(memory)["renewTime"] > before)
        assert not holding.lost


def test_it_runs_out_where_it_cannot_be_released(memory: MemoryApi) -> None:
    """Letting it go while the API is away is no error: the next one waits until it has run out."""
    with ExitStack() as stack:
        stack.enter_context(hold(connect(memory.access, PROMPT), "drill", timing=QUICK))
        memory.fail("leases", times=10_000, status=503)
    memory.faults.clear()
    assert now(memory)["holderIdentity"]
    with hold(connect(memory.access, PROMPT), "drill", timing=QUICK):
        pass


def test_trouble_is_said(memory: MemoryApi) -> None:
    """Who may not have Leases, or reaches nobody, is told so and does not wait."""
    memory.fail("leases", times=1, status=403)
    with pytest.raises(KubeRefused), hold(connect(memory.access, PROMPT), "drill"):
        raise AssertionError
    with memory_api() as gone:
        access = gone.access
    with pytest.raises(KubeUnreachable), hold(connect(access, PROMPT), "drill"):
        raise AssertionError
