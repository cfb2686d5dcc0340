"""A small stand-in for the reading half of Hetzner Cloud's API: pages, refusals, record sets. Loopback only."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.topology.hetzner import Project

TOKEN = "a-token-for-tests"
READER = "a-token-that-only-reads"


class Api(ThreadingHTTPServer):
    """Serves one project to whoever has the token."""

    def __init__(self, project: Project) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.project = project
        self.refuse: dict[str, list[tuple[int, str]]] = {}
        """Answers to give instead, by path, one request after the other: HTTP's status and the API's code."""
        self.asked: Counter[str] = Counter()
        self.posted = 0

    @property
    def endpoint(self) -> str:
        """Its address, as ``hcloud`` wants it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/v1")
        self.server.asked[path] += 1
        if self.headers["Authorization"] not in {f"Bearer {TOKEN}", f"Bearer {READER}"}:
            self._refuse(401, "unauthorized")
        elif self.server.refuse.get(path):
            self._refuse(*self.server.refuse[path].pop(0))
        else:
            self._page(path, {"page": 1} | {key: int(values[0]) for key, values in parse_qs(parts.query).items()})

    def do_POST(self) -> None:
        """Nothing is made here: what lacks its required fields is refused, and before that who may only read."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.posted += 1
        if self.headers["Authorization"] == f"Bearer {READER}":
            self._refuse(403, "token_readonly")
        else:
            self._refuse(*((422, "invalid_input") if self.headers["Authorization"] else (401, "unauthorized")))

    def _page(self, path: str, query: dict[str, int]) -> None:
        _, collection, *rest = path.split("/")
        listed: list[dict[str, Any]] = self.server.project[collection]
        key = collection
        if rest:
            zone = next(each for each in listed if str(each["id"]) == rest[0])
            listed, key = zone["rrsets"], rest[1]
        page, size = query["page"], query["per_page"]
        more = page + 1 if page * size < len(listed) else None
        some = [{name: value for name, value in each.items() if name != "rrsets"} for each in listed]
        pagination = {"page": page, "per_page": size, "next_page": more, "total_entries": len(listed)}
        self._answer(200, {key: some[(page - 1) * size : page * size], "meta": {"pagination": pagination}})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"error": {"code": code, "message": f"refused: {code}", "details": {}}})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
        """Say nothing: pytest shows what failed."""


@contextmanager
def serving(project: Project) -> Iterator[Api]:
    """The API, for the time of the body."""
    with Api(project) as api:
        thread = threading.Thread(target=api.serve_forever, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            api.shutdown()
            thread.join()
