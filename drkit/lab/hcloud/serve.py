"""The stand-in as an HTTP server."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from drkit.lab.hcloud import routes
from drkit.lab.hcloud.project import Project
from drkit.lab.hcloud.refused import Refused
from drkit.lab.hcloud.trouble import Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.lab.hcloud.machines import Machines

BANNER = "drkit-lab-stand-in-for-hetzner-cloud"
HEADER = "X-Drkit-Stand-In"
TROUBLE = "/stand-in/trouble"
"""Where trouble is ordered: ``PUT`` a JSON document, see ``Trouble.order``. It needs the token too."""
_VERSION = "/v1"
_LARGEST_BODY = 1024 * 1024


class StandIn(ThreadingHTTPServer):
    """Serves one project to whoever has the token.

    Args:
        machines: where its servers come from.
        token: who has it may do all.
        address: where to listen: loopback, or a lab's gateway.
        port: likewise; 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, machines: Machines, token: str, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((address, port), _Handler)
        self.token = token
        self.project = Project(machines)
        self.asked: list[tuple[str, str]] = []
        """All requests so far: method and path."""

    @property
    def endpoint(self) -> str:
        """Its address, as ``hcloud`` and $HCLOUD_ENDPOINT want it."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}{_VERSION}"


@contextmanager
def serving(machines: Machines, token: str, address: str = "127.0.0.1", port: int = 0) -> Iterator[StandIn]:
    """The stand-in, in threads of this process, for the time of the body."""
    with StandIn(machines, token, address, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.project.close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Headers and body go in one piece: two would wait for each other for 40 ms (RFC 896 beside RFC 1122, 4.2.3.2).
    wbufsize = -1

    def version_string(self) -> str:
        """What every answer's header ``Server`` says."""
        return BANNER

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        try:
            status, document = self._answered()
        except Refused as refused:
            # An answer that comes from no API has no document of one.
            status, document = refused.status, refused.document() if refused.code else None
        except Lost:
            self.close_connection = True
            return
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header(HEADER, "true")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answered(self) -> routes.Answer:
        document = self._body()
        parts = urlsplit(self.path)
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            raise Refused(401, "unauthorized", "unable to authenticate")
        project = self.server.project
        if parts.path == TROUBLE and self.command == "PUT":
            with project.lock:
                project.trouble.order(document)
            return 200, {"stand_in": routes.WELCOME}
        path = parts.path.removeprefix(_VERSION)
        self.server.asked.append((self.command, path))
        fault = project.trouble.before(self.command, path)
        with project.lock:
            answer = routes.answer(project, self.command, path, parse_qs(parts.query), document)
            # As it is now: a thread that comes after may change it.
            copied = None if answer[1] is None else json.loads(json.dumps(answer[1]))
        if fault is not None:
            fault.strike()
        return answer[0], copied

    def _body(self) -> dict[str, Any]:
        length = int(self.headers["Content-Length"] or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            raise Refused(413, "invalid_input", "the request is too large")
        text = self.rfile.read(length)
        try:
            document = json.loads(text) if text else {}
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Refused(400, "json_error", "invalid JSON")
        return document

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Say nothing: what happened can be asked for."""
