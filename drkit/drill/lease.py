"""One drkit at a time works on a cluster: a Lease there, held for a drill as Kubernetes' own components hold theirs.

The rules are those of client-go's leaderelection: the holder renews it; it is taken over only by who has himself seen,
by his own clock, that for as long as it lasts nobody renewed it, for the clocks of two machines cannot be compared; and
every change names the version that it is made to, so that of two who try at once one is refused. It does not stop a
holder who was cut off from the API: he finds out when he is back (``Holding.lost``).
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.clock import SystemClock
from drkit.errors import ClusterBusy, DrkitError, KubeRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.clock import Clock
    from drkit.cluster.kube import Api, Object

NAMESPACE, NAME = "kube-system", "drkit"
_LIST = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_PATH = f"{_LIST}/{NAME}"
_WORK = "drkit/work"
"""The annotation with what the holder does."""
_NOT_FOUND, _CONFLICT = 404, 409
_LONGEST = 600.0


@dataclass(frozen=True)
class Timing:
    """Seconds: after how many without a renewal it may be taken over, between renewals, and between two looks."""

    lasts: int = 60
    renewed: float = 5.0
    look: float = 1.0


USUAL = Timing()


@dataclass(frozen=True)
class Held:
    """Who holds it, for what work, since when, and when that was last renewed, by the holder's own clock (RFC 3339)."""

    holder: str
    work: str
    since: str
    renewed: str

    def __str__(self) -> str:
        return f"{self.work or 'a drkit'} ({self.holder}) since {self.since}, last renewed {self.renewed}"


def look(api: Api) -> Held | None:
    """Who holds it, by the Lease's own word: who died may still stand there. None where nobody does.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let one look.
    """
    found = _get(api)
    return None if found is None else _held(found)


class Holding:
    """The Lease while it is held. Safe to use from several threads.

    Attributes:
        identity: as whom it is held.
        lost: who has taken it, or what became of it; empty while it is held.
    """

    def __init__(self, api: Api, identity: str, version: str, clock: Clock, timing: Timing) -> None:
        self.identity = identity
        self.lost = ""
        self._api, self._version, self._clock, self._timing = api, version, clock, timing
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew_on, name="renew the lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let it go, so that the next one need not wait. Where the API is away it runs out."""
        self._stopped.set()
        self._thread.join()
        with suppress(DrkitError):
            if not self.lost:
                self._change({"holderIdentity": "", "renewTime": _stamp(self._clock)})

    def _renew_on(self) -> None:
        wait = self._timing.renewed
        while not self.lost and not self._stopped.wait(wait):
            try:
                self._change({"renewTime": _stamp(self._clock)})
                wait = self._timing.renewed
            except DrkitError:
                wait = min(self._timing.look, self._timing.renewed)  # a drill may well have taken the API away
            except KeyboardInterrupt:
                return  # drkit is being ended

    def _change(self, spec: dict[str, Any]) -> None:
        """Change it, if it is still held."""
        while not self.lost:
            try:
                self._version = _version(_patch(self._api, self._version, spec))
            except KubeRefused as error:
                if error.status not in {_NOT_FOUND, _CONFLICT}:
                    raise
                self._look_again()
            else:
                return

    def _look_again(self) -> None:
        found = _get(self._api)
        held = None if found is None else _held(found)
        if found is None:
            self.lost = "somebody deleted it"
        elif held is None or held.holder != self.identity:
            self.lost = f"it was taken over by {held}" if held else "somebody released it"
        else:
            self._version = _version(found)


@contextmanager
def hold(
    api: Api,
    work: str,
    *,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
    pause: Callable[[float], None] = process.pause,
    timing: Timing = USUAL,
) -> Iterator[Holding]:
    """Hold it for the time of the body.

    Args:
        api: the cluster's; it should give up soon where nobody answers (``transport.PROMPT``).
        work: what is done meanwhile, for people: ``drill worker-down``.
        say: told once if somebody else stands there who may be dead, and has to be waited for.
        clock: the time.
        pause: waits so many seconds.
        timing: see there.

    Raises:
        ClusterBusy: somebody else holds it, and lives.
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let us; likewise where it has no Leases.
    """
    clock = clock or SystemClock()
    identity = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
    version = _Acquiring(api, identity, work, say, clock, pause, timing).acquire()
    holding = Holding(api, identity, version, clock, timing)
    try:
        yield holding
    finally:
        holding.release()


@dataclass
class _Acquiring:
    api: Api
    identity: str
    work: str
    say: Callable[[str], None]
    clock: Clock
    pause: Callable[[float], None]
    timing: Timing

    def acquire(self) -> str:
        """Get it, and return its version."""
        seen: Held | None = None
        since = 0.0
        while True:
            found = _get(self.api)
            held = None if found is None else _held(found)
            if held is not None and held.holder == self.identity:
                assert found is not None  # noqa: S101 - held is of it
                return _version(found)  # the answer to an attempt was lost
            if held is not None and seen is None:
                seen, since = held, self.clock.monotonic()
                self.say(f"this cluster is held by {seen}: waiting to see whether that one still lives")
            elif held is not None and held != seen:
                raise _busy(held)
            elif held is None or self._ran_out(found, since):
                version = self._take(found)
                if version:
                    return version
                continue
            self.pause(self.timing.look)

    def _ran_out(self, found: Object | None, since: float) -> bool:
        lasts = _spec(found).get("leaseDurationSeconds") if found else None
        seconds = min(float(lasts), _LONGEST) if isinstance(lasts, int | float) else float(self.timing.lasts)
        return self.clock.monotonic() - since > seconds

    def _take(self, found: Object | None) -> str:
        """Its version where it was taken; empty where somebody was faster."""
        now = _stamp(self.clock)
        taken = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.timing.lasts,
            "acquireTime": now,
            "renewTime": now,
        }
        metadata: Object = {"annotations": {_WORK: self.work}}
        try:
            if found is None:
                return _version(self.api.create(_LIST, _lease(metadata, {**taken, "leaseTransitions": 0})))
            transitions = _spec(found).get("leaseTransitions")
            taken["leaseTransitions"] = transitions + 1 if isinstance(transitions, int) else 1
            return _version(_patch(self.api, _version(found), taken, metadata))
        except KubeRefused as error:
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise
            return ""


def _busy(held: Held) -> ClusterBusy:
    return ClusterBusy(
        f"another drkit works on this cluster: {held}",
        f"wait for it to end; its lease: kubectl get lease -n {NAMESPACE} {NAME} -o yaml",
    )


def _get(api: Api) -> Object | None:
    try:
        return api.get(_PATH)
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _patch(api: Api, version: str, spec: Object, metadata: Object | None = None) -> Object:
    return api.patch(_PATH, {"metadata": {**(metadata or {}), "resourceVersion": version}, "spec": spec})


def _lease(metadata: Object, spec: Object) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {**metadata, "name": NAME, "namespace": NAMESPACE},
        "spec": spec,
    }


def _held(found: Object) -> Held | None:
    spec = _spec(found)
    holder = str(spec.get("holderIdentity") or "")
    if not holder:
        return None
    annotations = found["metadata"].get("annotations") or {}
    words = (spec.get("acquireTime"), spec.get("renewTime"))
    return Held(holder, str(annotations.get(_WORK, "")), *(str(each or "unknown") for each in words))


def _spec(found: Object) -> Object:
    spec = found.get("spec")
    return spec if isinstance(spec, dict) else {}


def _version(found: Object) -> str:
    return str(found["metadata"].get("resourceVersion", ""))


def _stamp(clock: Clock) -> str:
    """Now, as Kubernetes' MicroTime."""
    return clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
