"""A TCP proxy on loopback that cuts its connections after so many bytes: a network that fails in mid-transfer."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 65536


class CuttingProxy:
    """Forwards to ``target``; cuts a connection once ``limit`` bytes went one way through all of them."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.limit: int | None = None
        self._passed = 0
        self._counts_upstream = True
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, limit: int, *, downstream: bool = False) -> None:
        """From now on, cut once this many more bytes have gone upstream, or downstream."""
        self._passed = 0
        self._counts_upstream = not downstream
        self.limit = limit

    def heal(self) -> None:
        """Cut no more."""
        self.limit = None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, to: socket.socket, upstream: bool) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                if upstream is self._counts_upstream:
                    self._passed += len(block)
                    if self.limit is not None and self._passed > self.limit:
                        self.cuts += 1
                        break
                to.sendall(block)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """A proxy for the time of the body."""
    proxy = CuttingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
