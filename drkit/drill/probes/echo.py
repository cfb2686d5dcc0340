"""Answers the control probe, in the prober's parent: says back what it is told, over loopback."""

from __future__ import annotations

import socketserver
import threading
from typing import Self

_BLOCK = 4096


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while block := self.request.recv(_BLOCK):
            self.request.sendall(block)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A question that was given up: the prober's own record says so."""


class Echo:
    """A server on loopback, for the time of the body."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="control", daemon=True
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
