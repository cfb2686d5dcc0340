"""External etcd: a snapshot over its own HTTP gateway, with k3s's client certificate and through the server's network.

That needs nothing on the server but the files that k3s reads (etcd: Documentation/dev-guide/api_grpc_gateway.md; the
request is ``etcdserverpb.Maintenance/Snapshot``). The key stays in memory.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import os
import socket
import ssl
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drkit.datastore.embedded import examined
from drkit.errors import SourceFailed
from drkit.sources.passing import working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.node import Node
    from drkit.datastore.look import Seen
    from drkit.sources.passing import Passing

_ANSWER_SECONDS = 30.0
_LONGEST_LINE = 16 * 1024 * 1024
"""etcd sends pieces of some ten kilobytes."""
_OK = 200


@contextmanager
def snapshot(node: Node, seen: Seen) -> Iterator[Passing]:
    """A snapshot from the first of the cluster's endpoints that is healthy, on its way.

    Raises:
        SourceFailed: none is.
    """
    said = []
    with ExitStack() as stack:
        context = _context(node, seen)
        for endpoint in seen.settings.endpoint.split(","):
            try:
                with ExitStack() as attempt:
                    connection = attempt.enter_context(_connected(node, endpoint.strip(), context))
                    response = _asked(connection)
                    stack.enter_context(attempt.pop_all())
                break
            except (OSError, http.client.HTTPException, ValueError, SourceFailed) as error:
                said.append(f"{_host(endpoint)}: {error}")
        else:
            raise SourceFailed("no etcd endpoint is healthy: " + "; ".join(said), "see etcd's own logs")

        def work(write: Callable[[bytes], None]) -> dict[str, Any]:
            return examined(_Blobs(response), write, -1, seen)

        with working(work, lambda: _cut(connection)) as stream:
            yield stream


def _host(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.hostname}:{parts.port or ''}"


def _context(node: Node, seen: Seen) -> ssl.SSLContext | None:
    """What k3s trusts and shows; nothing where etcd is reached without TLS."""
    settings = seen.settings
    if not settings.endpoint.startswith("https:"):
        return None
    context = ssl.create_default_context(cadata=_text(node, settings.cafile) if settings.cafile else None)
    # A private authority's certificates need not have all that Python 3.13 began to ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.certfile and settings.keyfile:
        pem = _text(node, settings.certfile) + "\n" + _text(node, settings.keyfile)
        memory = os.memfd_create("client")
        try:
            os.write(memory, pem.encode())
            context.load_cert_chain(f"/proc/self/fd/{memory}")
        except ssl.SSLError as error:
            raise SourceFailed(f"{node.name}: {settings.certfile} and {settings.keyfile}: {error.reason}") from None
        finally:
            os.close(memory)
    return context


def _text(node: Node, path: str) -> str:
    content = node.read(path)
    if content is None:
        raise SourceFailed(f"{node.name}: {path} is not there, and k3s's datastore settings name it")
    return content.decode(errors="replace")


class _Connection(http.client.HTTPConnection):
    """HTTP to ``host``, which a port here leads to."""

    def __init__(self, host: str, way: tuple[str, int], context: ssl.SSLContext | None) -> None:
        super().__init__(host, timeout=_ANSWER_SECONDS)
        self._way, self._context = way, context

    def connect(self) -> None:
        plain = socket.create_connection(self._way, self.timeout)
        self.sock = plain if self._context is None else self._context.wrap_socket(plain, server_hostname=self.host)


@contextmanager
def _connected(node: Node, endpoint: str, context: ssl.SSLContext | None) -> Iterator[_Connection]:
    parts = urlsplit(endpoint)
    if parts.hostname is None:
        raise SourceFailed("not an address")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with node.forward(parts.hostname, port) as way:
        connection = _Connection(parts.hostname, way, context)
        try:
            yield connection
        finally:
            connection.close()


def _asked(connection: _Connection) -> http.client.HTTPResponse:
    """The answer to the request for a snapshot, from a member that is healthy."""
    connection.request("GET", "/health")
    answer = connection.getresponse()
    said = answer.read(_LONGEST_LINE).decode(errors="replace")
    if answer.status != _OK or json.loads(said).get("health") not in {"true", True}:
        raise SourceFailed(f"it is not healthy: {said.strip()[:200]}")
    connection.request("POST", "/v3/maintenance/snapshot", body=b"{}", headers={"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != _OK:
        raise SourceFailed(f"it refuses a snapshot: {response.status} {response.read(1000).decode(errors='replace')}")
    return response


def _cut(connection: _Connection) -> None:
    """Wake whoever waits for more of the answer."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # it was closed already, by the other side or because the answer was at its end
            return


class _Blobs:
    """The database in the answer's lines: ``{"result": {"remaining_bytes": "…", "blob": "<base64>"}}``."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._rest = b""
        self._remaining = -1

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end.

        Raises:
            SourceFailed: etcd says that it failed, or stopped before the end.
        """
        while not self._rest:
            try:
                line = self._response.readline(_LONGEST_LINE)
            except (OSError, http.client.HTTPException) as error:
                raise SourceFailed(f"etcd stopped in the middle of the snapshot: {error!r}") from None
            if not line:
                if self._remaining:
                    raise SourceFailed("etcd stopped in the middle of the snapshot")
                return b""
            self._rest = self._blob(line)
        block, self._rest = self._rest[:size], self._rest[size:]
        return block

    def _blob(self, line: bytes) -> bytes:
        try:
            document = json.loads(line)
            result = document["result"]
            self._remaining = int(result.get("remaining_bytes", 0))
            return base64.b64decode(result.get("blob", ""), validate=True)
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise SourceFailed(f"etcd did not send a snapshot: {line[:200].decode(errors='replace')}") from None
