"""A way to a real API, over loopback, on which some answers are exchanged for others: 500, 429, 410."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from drkit.clock import SystemClock
from drkit.cluster.kubeconfig import read
from drkit.cluster.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.transport import Connection

_REASONS = {410: "Expired", 429: "TooManyRequests", 500: "InternalError"}
_PASSED_ON = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_SECONDS = 60.0


@dataclass
class Fault:
    """Answers that are given instead.

    Attributes:
        path: a regular expression for some of the path, query included.
        status: HTTP's.
        times: how often still.
    """

    path: str
    status: int
    times: int


@dataclass
class Stumbling:
    """The way; ``kubeconfig`` leads to it."""

    kubeconfig: Path
    faults: list[Fault] = field(default_factory=list)
    given: list[tuple[int, str]] = field(default_factory=list)
    """Which answers were exchanged: status and path."""

    def instead(self, path: str) -> int:
        """The status of the answer that is given instead of the API's; 0 where it is the API's turn."""
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.path, path):
                fault.times -= 1
                self.given.append((fault.status, path))
                return fault.status
        return 0


@contextmanager
def stumbling(kubeconfig: Path, directory: Path) -> Iterator[Stumbling]:
    """A way to the API that a kubeconfig describes, as the same user, for the time of the body."""
    way = Transport(read(kubeconfig), SystemClock()).connection()
    made = Stumbling(directory / "stumbling.kubeconfig")
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(way, made)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        made.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": ""}}],
                    "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                }
            )
        )
        yield made
        server.shutdown()


def _handler(way: Connection, made: Stumbling) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status = made.instead(self.path)
            if status:
                refusal = {"kind": "Status", "status": "Failure", "reason": _REASONS[status], "code": status}
                self._answer(status, [("Content-Type", "application/json")], json.dumps(refusal).encode())
                return
            connection = HTTPSConnection(way.host, way.port, timeout=_SECONDS, context=way.context)
            passed_on = {name: self.headers[name] for name in _PASSED_ON if self.headers[name]}
            connection.request("GET", way.prefix + self.path, headers={**way.headers, **passed_on})
            answer = connection.getresponse()
            names = ("Content-Type", "Content-Encoding")
            kept = [(name, value) for name in names if (value := answer.headers[name])]
            self._answer(answer.status, kept, answer.read())
            connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
