"""The watcher of a drill: a thread for each kind of objects, for each API server, and for the load balancer."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from drkit.drill.watch.follow import KINDS, Followed, balancer
from drkit.drill.watch.servers import Servers
from drkit.drill.watch.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from drkit.cluster.kube import Watching
    from drkit.drill.record import Recorder
    from drkit.providers.port import TargetHealth

_PATIENCE = 5.0
_BALANCER = "load balancer"


class Watcher:
    """Appends to a record what changes in a cluster for the time of the body. Raises nothing into the drill.

    Changes are seen as the API tells them, without a resolution of their own; where it was away, or the load balancer
    is asked, entries say within how many seconds it happened (``record.WITHIN``). An API that is back is watched again
    within a second (``servers.EVERY``, and the time of a list).

    Args:
        recorder: of the drill.
        apis: the cluster's API, through one or several of its servers, the preferred one first; each should give up
            soon where nobody answers: made with the limits ``transport.PROMPT``.
        targets: how the load balancer finds its targets, where there is one that can be asked.
        every: seconds from one question to the load balancer to the next; Hetzner allows 3600 questions in an hour.
    """

    def __init__(
        self,
        recorder: Recorder,
        apis: Sequence[Watching],
        targets: Callable[[], Iterable[TargetHealth]] | None = None,
        every: float = 2.0,
    ) -> None:
        teller = Teller(recorder)
        self._servers = Servers(apis, teller)
        self._begun = {kind.name: threading.Event() for kind in KINDS}
        self._threads = [
            threading.Thread(
                target=Followed(kind, self._servers, teller, self._begun[kind.name]).run,
                name=f"follow {kind.name}",
                daemon=True,
            )
            for kind in KINDS
        ]
        if targets is not None:
            begun = self._begun[_BALANCER] = threading.Event()
            asked = (targets, every, teller, self._servers.stopped, begun)
            self._threads.append(threading.Thread(target=balancer, args=asked, name=_BALANCER, daemon=True))

    def missing(self, seconds: float) -> tuple[str, ...]:
        """Wait until all was seen once, and return what was not within this time: changes of that are not told yet."""
        until = time.monotonic() + seconds
        return tuple(name for name, begun in self._begun.items() if not begun.wait(max(0.0, until - time.monotonic())))

    def __enter__(self) -> Self:
        self._servers.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._servers.close()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
