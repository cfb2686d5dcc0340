"""The API servers that can be asked, and which of them answer.

Each is asked for one small object, every ``EVERY`` seconds, which it has to read from the datastore: one that has lost
its quorum serves old answers and no changes. One that was silent for ``SILENCE`` seconds is lost, and what is watched
there is cut off; the first answer brings it back.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit.drill.record import API_BACK, API_LOST
from drkit.drill.watch.changes import Change
from drkit.errors import DrkitError, KubeRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.kube import Watch, Watching
    from drkit.drill.watch.telling import Teller

EVERY = 0.5
SILENCE = 2.5
_LOOK = 0.1
_ASKED = "/api/v1/namespaces/kube-system"
_TROUBLE = 500
"""HTTP's statuses from here on are the server's own trouble; what it refuses below, it has answered."""


class Server:
    """One of them.

    Attributes:
        api: how it is asked.
        heard: when it last answered, by the monotonic clock.
    """

    def __init__(self, api: Watching) -> None:
        self.api = api
        self.heard = time.monotonic()
        self.answers: bool | None = None
        """Whether it answers; None while that is not known yet."""
        self.said = ""
        self.held: set[Held] = set()


class Held:
    """A watch of a server, to be cut when that is lost."""

    def __init__(self, server: Server, watch: Watch) -> None:
        self._server, self._watch = server, watch
        self._heard: float | None = None

    def cut(self) -> None:
        """Cut it off. The server's lock is held."""
        if self._heard is None:
            self._heard = self._server.heard
        self._watch.cut()

    @property
    def heard(self) -> float:
        """When its server last answered while this was watched, by the monotonic clock.

        Not what the server says after the cut: it may be back before whoever watches has noticed that.
        """
        return self._server.heard if self._heard is None else self._heard


class Servers:
    """Those of one cluster. Safe to use from several threads.

    Args:
        apis: each should give up soon where nobody answers (``transport.PROMPT``); the first one is preferred.
        teller: told when one is lost, and when it is back.
    """

    def __init__(self, apis: Sequence[Watching], teller: Teller) -> None:
        self._servers = [Server(api) for api in apis]
        self._teller = teller
        self._changed = threading.Condition()
        self.stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(server,), name=f"ask {server.api.server}", daemon=True)
            for server in self._servers
        ]
        self._threads.append(threading.Thread(target=self._oversee, name="oversee the API", daemon=True))

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Cut off all that is watched, and stop."""
        self.stopped.set()
        with self._changed:
            for server in self._servers:
                self._cut(server)
            self._changed.notify_all()

    def choose(self, avoided: Server | None) -> Server | None:
        """Wait for one that is not lost, and return it; None when it is all over.

        Args:
            avoided: taken where there is no other one.
        """
        with self._changed:
            while not self.stopped.is_set():
                there = [server for server in self._servers if server.answers is not False]
                if there:
                    return next((server for server in there if server is not avoided), there[0])
                self._changed.wait()
        return None

    @contextmanager
    def holding(self, server: Server, watch: Watch) -> Iterator[Held]:
        """Have a watch cut when its server is lost, for the time of the body."""
        held = Held(server, watch)
        with self._changed:
            server.held.add(held)
            if server.answers is False or self.stopped.is_set():
                held.cut()
        try:
            yield held
        finally:
            with self._changed:
                server.held.discard(held)

    def _ask(self, server: Server) -> None:
        while not self.stopped.is_set():
            try:
                server.api.get(_ASKED)
            except KubeRefused as error:
                self._heard(server, error.said, well=error.status < _TROUBLE)
            except DrkitError as error:
                self._heard(server, error.message, well=False)
            except KeyboardInterrupt:
                return  # drkit is being ended
            except Exception as error:  # noqa: BLE001 - whatever it is, the drill goes on without this server
                self._heard(server, repr(error), well=False)
            else:
                self._heard(server, "", well=True)
            self.stopped.wait(EVERY)

    def _heard(self, server: Server, said: str, *, well: bool) -> None:
        with self._changed:
            server.said = said
            if not well or self.stopped.is_set():
                return
            was, server.answers, server.heard = server.answers, True, time.monotonic()
            self._changed.notify_all()
        if was is False:
            self._teller.tell([Change(API_BACK, server.api.server)])

    def _oversee(self) -> None:
        """See who is silent; apart from who asks, who may be held up for longer."""
        while not self.stopped.wait(_LOOK):
            for server in self._servers:
                with self._changed:
                    silent = time.monotonic() - server.heard
                    if server.answers is False or silent <= SILENCE:
                        continue
                    server.answers = False
                    self._cut(server)
                    said = server.said
                self._teller.tell([Change(API_LOST, server.api.server, {"said": said} if said else {})], silent)

    @staticmethod
    def _cut(server: Server) -> None:
        for held in server.held:
            held.cut()
