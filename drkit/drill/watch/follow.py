"""One kind of objects, followed: listed, then watched from that version on; listed again whenever the watch ends.

What is watched is seen at once. What is seen by listing again, after the API was away, has in its entry within how many
seconds it happened (``record.WITHIN``); so has everything where watching is refused: it is listed every ``POLL``
seconds then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.cluster.cnpg import ROOT
from drkit.cluster.members import NODES
from drkit.drill.watch import views
from drkit.drill.watch.changes import changes
from drkit.errors import DrkitError, KubeExpired, KubeRefused, KubeUnreachable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from drkit.cluster.kube import Object
    from drkit.drill.watch.servers import Server, Servers
    from drkit.drill.watch.telling import Teller
    from drkit.providers.port import TargetHealth

POLL = 0.5
_PAUSE = 0.2
"""Seconds before another try."""
_REFUSED_PAUSE = 2.0
_NOT_FOUND = 404
_NO_WATCH = frozenset({403, 405})


@dataclass(frozen=True)
class Kind:
    """A kind of objects: its name, where they are listed, and what is seen of each."""

    name: str
    path: str
    view: Callable[[Object], views.View]


KINDS = (
    Kind("nodes", NODES, views.node),
    Kind("pods", "/api/v1/pods", views.pod),
    Kind("endpointslices", "/apis/discovery.k8s.io/v1/endpointslices", views.endpoint_slice),
    Kind("clusters.postgresql.cnpg.io", f"{ROOT}/clusters", views.postgres),
)


class Followed:
    """One kind, as it was last seen.

    Args:
        kind: which one.
        servers: who is asked.
        teller: who is told.
        begun: set as soon as it was seen once: from then on changes are told.
    """

    def __init__(self, kind: Kind, servers: Servers, teller: Teller, begun: threading.Event) -> None:
        self._kind, self._servers, self._teller, self._begun = kind, servers, teller, begun
        self._views: views.Views = {}
        self._known = 0.0
        """Up to when all changes are known, by the monotonic clock."""

    def run(self) -> None:
        """Follow it until the servers are closed. Raises nothing."""
        avoided: Server | None = None
        polling = False
        while (server := self._servers.choose(avoided)) is not None:
            avoided, pause = server, POLL if polling else _PAUSE
            try:
                if polling:
                    self._poll(server)
                else:
                    self._follow(server)
                    avoided = None
            except KubeExpired:
                avoided = None
            except KubeRefused as error:
                if error.status == _NOT_FOUND and not self._views:
                    self._begun.set()  # the cluster has no such kind
                    return
                self._teller.trouble(self._kind.name, error.message)
                polling, pause = polling or error.status in _NO_WATCH, _REFUSED_PAUSE
            except KubeUnreachable:
                pass  # who asks the servers tells which one is lost
            except DrkitError as error:
                self._teller.trouble(self._kind.name, error.message)
            except KeyboardInterrupt:
                return  # drkit is being ended
            except Exception as error:  # noqa: BLE001 - whatever it is, the drill goes on
                self._teller.trouble(self._kind.name, repr(error))
            self._servers.stopped.wait(pause)

    def _follow(self, server: Server) -> None:
        """List, and watch until that ends."""
        found: views.Views = {}
        version = ""
        for page in server.api.pages(self._kind.path):
            found |= self._seen(page["items"])
            version = str(page["metadata"].get("resourceVersion", ""))
        self._take(found)
        with server.api.watch(self._kind.path, version) as watch, self._servers.holding(server, watch) as held:
            self._teller.well(self._kind.name)
            try:
                for what, thing in watch.changes():
                    view = self._kind.view(thing)
                    if what == "DELETED":
                        after = {name: each for name, each in self._views.items() if name != view.name}
                    else:
                        after = {**self._views, view.name: view}
                    self._tell(after)
            finally:
                # Of a connection that nobody cut, silence says nothing.
                self._known = max(self._known, held.heard)

    def _poll(self, server: Server) -> None:
        """List once more."""
        began = time.monotonic()
        self._take(self._seen(server.api.get(f"{self._kind.path}?resourceVersion=0").get("items") or ()), began)

    def _seen(self, items: Iterable[Object]) -> views.Views:
        return {view.name: view for view in map(self._kind.view, items)}

    def _take(self, found: views.Views, as_of: float | None = None) -> None:
        """What was listed; told with its uncertainty, unless nothing was known before."""
        now = time.monotonic()
        if self._begun.is_set():
            self._teller.tell(changes(self._views, found), now - self._known)
        self._views, self._known = found, now if as_of is None else as_of
        self._begun.set()

    def _tell(self, after: views.Views) -> None:
        self._teller.tell(changes(self._views, after))
        self._views, self._known = after, time.monotonic()


def balancer(
    ask: Callable[[], Iterable[TargetHealth]],
    every: float,
    teller: Teller,
    stopped: threading.Event,
    begun: threading.Event,
) -> None:
    """Ask a load balancer how it finds its targets, again and again until ``stopped``. Raises nothing.

    Args:
        ask: whoever knows; raises ``DrkitError`` where he does not.
        every: seconds from one question to the next.
        teller: who is told.
        stopped: set by another thread.
        begun: set as soon as it has answered once.
    """
    known, seen = 0.0, views.Views()
    while not stopped.is_set():
        now = time.monotonic()
        try:
            found = views.targets(ask())
        except DrkitError as error:
            teller.trouble("load balancer", error.message)
        except KeyboardInterrupt:
            return  # drkit is being ended
        except Exception as error:  # noqa: BLE001 - whatever it is, the drill goes on
            teller.trouble("load balancer", repr(error))
        else:
            if begun.is_set():
                teller.tell(changes(seen, found), time.monotonic() - known)
            teller.well("load balancer")
            seen, known = found, now
            begun.set()
        stopped.wait(max(0.0, every - (time.monotonic() - now)))
