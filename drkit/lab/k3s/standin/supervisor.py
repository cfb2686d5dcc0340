"""A server's side of joining: gives out the cluster's CA, identity and certificates to whoever has the token."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import ssl
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from . import bootstrap, identity, log, nodepassword, paths, pki
from .components import API_PORT, SUPERVISOR_PORT
from .kube import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kube import Kube
    from .settings import Settings
    from .store import Store

_LONGEST_REQUEST = 65536


class Joining:
    """Whether another server may be joining: then the members of etcd are worth a look, which costs a process."""

    _LONG = 180.0

    def __init__(self) -> None:
        self._asked = time.monotonic()

    def note(self) -> None:
        """Another server has asked for the members."""
        self._asked = time.monotonic()

    def likely(self) -> bool:
        """Whether one has asked within the last minutes, or this server has only just started."""
        return time.monotonic() - self._asked < self._LONG


@dataclass(frozen=True)
class Cluster:
    """What the supervisor answers from."""

    settings: Settings
    kube: Kube
    store: Store | None
    """The etcd member of this server; None where the datastore is no etcd."""
    joining: Joining


@dataclass(frozen=True)
class Asking:
    """A request, taken apart."""

    cluster: Cluster
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """The request is answered with ``status`` and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def subject_of(certificate: str, node: str, addresses: tuple[str, ...]) -> tuple[pki.Authority, pki.Subject] | None:
    """Who signs the certificate of that file name for a node, and what it says; None where there is no such."""
    subjects = {
        "client-kubelet.crt": (identity.CLIENT_CA, pki.Subject(f"system:node:{node}", ("system:nodes",))),
        "client-kube-proxy.crt": (identity.CLIENT_CA, pki.Subject("system:kube-proxy")),
        "client-k3s-controller.crt": (identity.CLIENT_CA, pki.Subject("system:k3s-controller")),
        "serving-kubelet.crt": (
            identity.SERVER_CA,
            pki.Subject(node, hosts=(node, "127.0.0.1", "localhost", *addresses), server=True, client=False),
        ),
    }
    return subjects.get(certificate)


def user_of(header: str, passwd: str) -> str:
    """The account that a ``Basic`` header proves, from the lines of ``cred/passwd``; empty where it proves none."""
    try:
        name, _, password = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    for line in passwd.splitlines():
        fields = line.split(",")
        if len(fields) > 1 and fields[1] == name and hmac.compare_digest(fields[0], password):
            return name
    return ""


def _authority(_: Asking) -> bytes:
    return identity.SERVER_CA.certificate.read_bytes()


def _client_authority(_: Asking) -> bytes:
    return identity.CLIENT_CA.certificate.read_bytes()


def _ping(_: Asking) -> bytes:
    return b"pong"


def _bundle(_: Asking) -> bytes:
    return bootstrap.dump(bootstrap.read_from_disk(paths.SERVER))


def _members(asking: Asking) -> bytes:
    if asking.cluster.store is None:
        raise Refused(404, "this server has no etcd")
    asking.cluster.joining.note()
    members = asking.cluster.store.members()
    return json.dumps(
        [{"number": m.number, "name": m.name, "peer": m.peer, "learner": m.learner} for m in members]
    ).encode()


def _configuration(asking: Asking) -> bytes:
    settings = asking.cluster.settings
    return json.dumps(
        {
            "cluster-cidr": settings.cluster_cidr,
            "service-cidr": settings.service_cidr,
            "cluster-dns": settings.cluster_dns,
            "cluster-domain": settings.cluster_domain,
        }
    ).encode()


def _api_servers(asking: Asking) -> bytes:
    found = asking.cluster.kube.get("/api/v1/namespaces/default/endpoints/kubernetes") or {}
    addresses = [entry["ip"] for subset in found.get("subsets") or [] for entry in subset.get("addresses", [])]
    return json.dumps([f"{address}:{API_PORT}" for address in addresses]).encode()


def _certificate(asking: Asking, file: str) -> bytes:
    node = asking.headers.get("k3s-node-name", "")
    addresses = tuple(filter(None, asking.headers.get("k3s-node-ip", "").split(",")))
    found = subject_of(file, node, addresses)
    if not node or found is None:
        raise Refused(400, "node name not set, or no such certificate")
    if file.endswith("kubelet.crt"):
        try:
            accepted = nodepassword.ensure(asking.cluster.kube, node, asking.headers.get("k3s-node-password", ""))
        except ApiError as problem:
            raise Refused(503, f"unable to verify password for node {node}: {problem}") from None
        if not accepted:
            log.error(f"unable to verify password for node {node}: hash does not match")
            raise Refused(403, nodepassword.REJECTED)
    authority, subject = found
    try:
        return pki.sign_request(authority, asking.body, subject)
    except ValueError as problem:
        raise Refused(400, str(problem)) from None


_ANYONE: dict[str, Callable[[Asking], bytes]] = {"/cacerts": _authority, "/ping": _ping}
_NODES: dict[str, Callable[[Asking], bytes]] = {
    "/v1-k3s/config": _configuration,
    "/v1-k3s/apiservers": _api_servers,
    "/v1-k3s/client-ca.crt": _client_authority,
}
_SERVERS: dict[str, Callable[[Asking], bytes]] = {"/v1-k3s/server-bootstrap": _bundle, "/db/info": _members}
_CERTIFICATES = "/v1-k3s/certificates/"


def respond(path: str, asking: Asking, passwd: str) -> bytes:
    """The answer to one request.

    Raises:
        Refused: there is none.
    """
    if path in _ANYONE:
        return _ANYONE[path](asking)
    user = user_of(asking.headers.get("authorization", ""), passwd)
    if user not in {"node", "server"}:
        raise Refused(401, "Unauthorized")
    if path in _NODES:
        return _NODES[path](asking)
    if path.startswith(_CERTIFICATES):
        return _certificate(asking, path.removeprefix(_CERTIFICATES))
    if path not in _SERVERS:
        raise Refused(404, "not found")
    if user != "server":
        raise Refused(403, "Forbidden")
    return _SERVERS[path](asking)


def serve(cluster: Cluster) -> None:
    """Answer joining nodes, from a thread of its own, until the program ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond()

        def do_POST(self) -> None:
            self._respond()

        def _respond(self) -> None:
            size = min(int(self.headers.get("Content-Length") or 0), _LONGEST_REQUEST)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asking = Asking(cluster, headers, self.rfile.read(size))
            status, content = 200, b""
            try:
                content = respond(self.path, asking, identity.PASSWD.read_text())
            except Refused as refusal:
                status, content = refusal.status, str(refusal).encode()
            except Exception as problem:  # noqa: BLE001 - one failed answer must not end the server
                status, content = 503, str(problem).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing: every node asks again and again."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stem = paths.TLS / "serving-kube-apiserver"
    context.load_cert_chain(f"{stem}.crt", f"{stem}.key")

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            # The handshake in the request's own thread: a client that says nothing must not hold up the others.
            request.settimeout(30.0)
            super().finish_request(context.wrap_socket(request, server_side=True), client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a connection that broke is asked for again."""

    server = Server(("", SUPERVISOR_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
