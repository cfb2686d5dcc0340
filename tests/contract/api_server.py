"""A small Kubernetes API in memory, over real HTTP on loopback, which can be told to misbehave."""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from drkit.checks import rights
from drkit.cluster import discovery
from drkit.cluster.kube import Resource
from drkit.cluster.kubeconfig import Access, Credentials
from tests.contract import api_rights
from tests.contract.api_objects import APPLY, JSON, MemoryObjects, failure, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LIST_VERBS = frozenset({"get", "list", "create", "patch", "delete"})
_OBJECT = re.compile(r"(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([^/]+)(?:/([^/]+))?")


def resource(plural: str, kind: str, group: str = "", version: str = "v1", *, namespaced: bool = True) -> Resource:
    """A kind with the verbs that most have."""
    return Resource(group, version, plural, kind, namespaced, LIST_VERBS)


CONFIG_MAPS = resource("configmaps", "ConfigMap")
NAMESPACES = resource("namespaces", "Namespace", namespaced=False)
DEPLOYMENTS = resource("deployments", "Deployment", "apps")


@dataclass
class Fault:
    """What a matching request meets instead of its answer, so many times."""

    matches: str
    """A regular expression for path and query."""
    times: int = 1
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the true answer after which the connection is cut."""
    seen: int = 0


class MemoryApi(MemoryObjects):
    """What the server serves, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.resources: list[Resource] = [CONFIG_MAPS, DEPLOYMENTS, NAMESPACES]
        self.stale: dict[str, str] = {}
        """Group versions whose backend is down, with what it says."""
        self.budgets: set[str] = set()
        """The names of pods that their disruption budgets keep."""
        self.formats: tuple[str, ...] = ("v2", "v2beta1")
        """The aggregated documents that it knows; none makes it an old server."""
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.granted: tuple[rights.Right, ...] | None = None
        """What who asks may do; everything, where it is None. Reviews of that are answered in any case."""
        self.ignores_limit = False
        self.present = threading.Event()
        """While it is not set, whoever asks is left without an answer, and whoever watches without changes."""
        self.present.set()
        self.closed = False
        """Whether all watches are to end."""
        self.watches: set[socket.socket] = set()
        """Connections over which changes are told now."""
        self.on_request: Callable[[str], None] = lambda _: None
        self.url = ""

    @property
    def access(self) -> Access:
        """How it is reached."""
        return Access(self.url, b"", "", Credentials(token="of-the-test"))

    def fail(self, matches: str, *, times: int = 1, **what: Any) -> Fault:
        """Let matching requests fail."""
        fault = Fault(matches, times, **what)
        self.faults.append(fault)
        return fault

    def cut_watches(self) -> None:
        """Cut the connections of all who watch."""
        with self.lock:
            for each in self.watches:
                each.shutdown(socket.SHUT_RDWR)

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, Any]:
        """Status, content type and document."""
        if urlsplit(target).path == rights.PATH and method == "POST":
            review = json.loads(body)
            allowed = self._may(api_rights.reviewed(review["spec"]))
            return 201, JSON, {**review, "status": {"allowed": allowed}}
        wanted = api_rights.asked(method, target)
        if not self._may(wanted):
            return 403, JSON, failure(403, f"the user of the test cannot {wanted}")
        return self._allowed(method, target, headers, body)

    def _allowed(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, Any]:
        accept = headers.get("Accept", "")
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = parts.path
        if path in {"/api", "/apis"}:
            return self._roots(path, accept)
        if path == "/version":
            return 200, JSON, {"gitVersion": "v1.34.4+memory"}
        for name, said in self.stale.items():
            if path.startswith(f"/apis/{name}"):
                return 503, JSON, failure(503, said)
        documents = {root: name for name in self._versions() for root in discovery.roots([name])}
        if path in documents:
            return 200, JSON, self._kinds(documents[path])
        listed = self.listed(path)
        if listed is not None:
            return self.create(*listed, body) if method == "POST" else self._list(*listed, query)
        kind = headers.get("Content-Type", "")
        return self._evict(path, query, body) if method == "POST" else self._one(method, path, query, kind, body)

    def _may(self, wanted: rights.Right) -> bool:
        return self.granted is None or api_rights.covers(self.granted, wanted)

    def listed(self, path: str) -> tuple[str, str | None] | None:
        """Where all objects of the kind that is listed at a path are, and the namespace that is meant."""
        match = _OBJECT.fullmatch(path)
        if match is None or match[4] is not None:
            return None
        kind = f"{match[1]}/{match[3]}"
        return (kind, match[2]) if kind in {each.path for each in self.resources} else None

    def _versions(self) -> list[str]:
        return list(dict.fromkeys(each.api_version for each in self.resources))

    def _roots(self, path: str, accept: str) -> tuple[int, str, Any]:
        chosen = next((form for form in self.formats if f"v={form};as={discovery.AGGREGATED}" in accept), None)
        groups: dict[str, list[str]] = {}
        for name in [*self._versions(), *self.stale]:
            group, slash, version = name.rpartition("/")
            if bool(slash) == (path == "/apis"):
                groups.setdefault(group, []).append(version)
        if chosen is None:
            return 200, JSON, _old_root(path, groups)
        items = [
            {"metadata": {"name": group}, "versions": [self._aggregated(group, each) for each in versions]}
            for group, versions in groups.items()
        ]
        kind = f"{JSON};g=apidiscovery.k8s.io;v={chosen};as={discovery.AGGREGATED}"
        return 200, kind, {"kind": discovery.AGGREGATED, "apiVersion": f"apidiscovery.k8s.io/{chosen}", "items": items}

    def _aggregated(self, group: str, version: str) -> dict[str, Any]:
        if discovery.group_version(group, version) in self.stale:
            return {"version": version, "freshness": "Stale"}
        resources = [
            {
                "resource": each.plural,
                "responseKind": {"group": group, "version": version, "kind": each.kind},
                "scope": "Namespaced" if each.namespaced else "Cluster",
                "verbs": sorted(each.verbs),
                "subresources": [{"subresource": "status", "verbs": ["get"]}],
            }
            for each in self.resources
            if (each.group, each.version) == (group, version)
        ]
        return {"version": version, "freshness": "Current", "resources": resources}

    def _kinds(self, group_version: str) -> Any:
        resources = [
            {
                "name": each.plural + part,
                "kind": each.kind,
                "namespaced": each.namespaced,
                "verbs": sorted(each.verbs),
            }
            for each in self.resources
            if each.api_version == group_version
            for part in ("", "/status")
        ]
        return {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}

    def _list(self, path: str, namespace: str | None, query: dict[str, str]) -> tuple[int, str, Any]:
        found = [each for each in self.objects.get(path, []) if namespace in {None, each["metadata"].get("namespace")}]
        start = int(query.get("continue", "0"))
        end = len(found) if self.ignores_limit else start + (int(query.get("limit", "0")) or len(found))
        metadata: dict[str, Any] = {"resourceVersion": str(self.resource_version)}
        if end < len(found):
            metadata |= {"continue": str(end), "remainingItemCount": len(found) - end}
        return 200, JSON, {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": found[start:end] or None}

    def _one(self, method: str, path: str, query: dict[str, str], kind: str, body: bytes) -> tuple[int, str, Any]:
        match = _OBJECT.fullmatch(path)
        served = next((each for each in self.resources if match and each.path == f"{match[1]}/{match[3]}"), None)
        if match is None or served is None or match[4] is None:
            return 404, JSON, failure(404, "the server could not find the requested resource")
        key = unquote(match[2] or ""), unquote(match[4])
        there = self.objects.setdefault(served.path, [])
        if method == "PATCH" and kind == APPLY:
            return self.apply(served, key, query, body)
        found = next((each for each in there if key_of(each) == key), None)
        if found is None:
            return 404, JSON, failure(404, f'{served.plural} "{key[1]}" not found')
        if method == "GET":
            return 200, JSON, found
        return self.delete(served, found, body) if method == "DELETE" else self.merge_into(served, found, body)

    def _evict(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, str, Any]:
        """``POST …/pods/NAME/eviction``; of what is below an object, nothing else is posted."""
        eviction = json.loads(body)
        name = eviction["metadata"]["name"]
        if not path.endswith(f"/namespaces/{eviction['metadata']['namespace']}/pods/{name}/eviction"):
            return 400, JSON, failure(400, "name in URL does not match name in Eviction object")
        if name in self.budgets:
            return 429, JSON, failure(429, "Cannot evict pod as it would violate the pod's disruption budget.")
        options = json.dumps(eviction["deleteOptions"]).encode()
        return self._one("DELETE", path.removesuffix("/eviction"), query, JSON, options)


def _old_root(path: str, groups: dict[str, list[str]]) -> Any:
    if path == "/api":
        return {"kind": "APIVersions", "versions": groups[""]}
    every = [
        {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{each}", "version": each} for each in versions],
            "preferredVersion": {"groupVersion": f"{group}/{versions[0]}", "version": versions[0]},
        }
        for group, versions in groups.items()
    ]
    return {"kind": "APIGroupList", "groups": every}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: MemoryApi

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden parameter
        """Say nothing."""

    def _serve(self) -> None:
        api = self.api
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api.requests.append(f"{self.command} {self.path}")
        api.headers.append(dict(self.headers))
        api.on_request(self.path)
        api.present.wait()
        fault = next(
            (each for each in api.faults if each.seen < each.times and re.search(each.matches, self.path)), None
        )
        if fault is not None:
            fault.seen += 1
        if fault is not None and fault.cut_after is None:
            content = fault.body or json.dumps(failure(fault.status, "told to fail")).encode()
            self._send(fault.status, {"Content-Type": JSON, **fault.headers}, content)
            return
        listed = api.listed(urlsplit(self.path).path)
        if "watch=true" in self.path and listed is not None and api._may(api_rights.asked("GET", self.path)):
            self._watch(*listed)
            return
        with api.lock:
            status, kind, document = api.answer(self.command, self.path, dict(self.headers), body)
        content = json.dumps(document).encode()
        headers = {"Content-Type": kind}
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            content, headers = gzip.compress(content, 1), {**headers, "Content-Encoding": "gzip"}
        self._send(status, headers, content, None if fault is None else fault.cut_after)

    def _watch(self, path: str, namespace: str | None) -> None:
        """Tell changes, each as one chunk, until nobody listens."""
        api = self.api
        version = int(parse_qs(urlsplit(self.path).query)["resourceVersion"][0])
        self.send_response(200)
        self.send_header("Content-Type", JSON)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with api.lock:
            api.watches.add(self.connection)
        try:
            if version < api.forgotten:
                self._chunk({"type": "ERROR", "object": failure(410, "too old resource version")})
            while version >= api.forgotten and not api.closed and not _left(self.connection):
                version, found = api.told(path, version)
                api.present.wait()
                for what, obj in found:
                    if namespace in {None, obj["metadata"].get("namespace")}:
                        self._chunk({"type": what, "object": obj})
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass  # nobody listens any more
        finally:
            with api.lock:
                api.watches.discard(self.connection)

    def _chunk(self, document: Any) -> None:
        line = json.dumps(document).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _send(self, status: int, headers: dict[str, str], content: bytes, cut_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:cut_after])
        if cut_after is not None:
            self.close_connection = True


def _left(connection: socket.socket) -> bool:
    """Whether nobody is at the other end any more."""
    return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)


@contextmanager
def memory_api() -> Iterator[MemoryApi]:
    """One that is served for the body."""
    api = MemoryApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.closed = True
        api.present.set()
        server.shutdown()
        server.server_close()
        thread.join()
