"""A web server on loopback that keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    body: str


class Sink(ThreadingHTTPServer):
    """The server; ``status`` is what it answers with, and ``statuses`` come first, one for each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sent: list[Sent] = []
        self.status = 200
        self.statuses: list[int] = []

    @property
    def place(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Sink

    def _keep(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.sent.append(Sent(self.command, self.path, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Keep it."""
        self._keep()

    def do_PUT(self) -> None:
        """Keep it."""
        self._keep()

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def sink() -> Iterator[Sink]:
    """A server for the time of the body."""
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
