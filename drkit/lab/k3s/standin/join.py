"""How a joining node talks to a server's supervisor: over HTTPS, its token pinning the CA and being the password."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from . import token as tokens
from .components import SUPERVISOR_PORT
from .problem import Fatal

_SECONDS = 15.0
_CONNECT_SECONDS = 4.0
"""A server that is off says nothing at all, and there may be others to ask."""
_OK = 200
_FORBIDDEN = {401, 403}


class Unreachable(Exception):
    """The server does not answer now; it is asked again."""


class Rejected(Exception):
    """The server answered, and refused."""


def supervisor_of(server: str) -> tuple[str, int]:
    """The supervisor's host and port, from the ``server:`` address, which names the API server's port as for k3s.

    Raises:
        Fatal: the address is none.
    """
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise Fatal(f"invalid server URL {server}: it must begin with https://")
    return parts.hostname, SUPERVISOR_PORT


@dataclass(frozen=True)
class Client:
    """One server's supervisor, its CA verified."""

    host: str
    port: int
    user: str
    password: str
    authority: bytes

    def get(self, path: str) -> Any:
        """The JSON answer to a question.

        Raises:
            Unreachable: no answer.
            Rejected: refused; likewise below.
        """
        return json.loads(self.ask("GET", path))

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """Send one request and return the answer's body."""
        context = ssl.create_default_context(cadata=self.authority.decode())
        # The address may be a load balancer's; what is trusted is the cluster's own CA.
        context.check_hostname = False
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return _exchange(
            http.client.HTTPSConnection(self.host, self.port, timeout=_CONNECT_SECONDS, context=context),
            method,
            path,
            body,
            {"Authorization": f"Basic {credentials}", **(headers or {})},
        )


def connect(server: str, token: str, user: str) -> Client:
    """Fetch the cluster's CA, compare it with the token, and return a client that trusts it alone.

    Args:
        server: as in ``server:`` of the configuration.
        token: as in ``token:``.
        user: ``server`` or ``node``: what to act as where the token does not say.

    Raises:
        Unreachable: no answer.
        Fatal: the CA is not the token's, or the token or address is malformed.
    """
    host, port = supervisor_of(server)
    parsed = tokens.parse(token)
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # the CA cannot be known before it was fetched; the token's hash then pins it
    authority = _exchange(
        http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=blind), "GET", "/cacerts", None, {}
    )
    tokens.check_pin(parsed, authority)
    return Client(host, port, parsed.user or user, parsed.password, authority)


def _exchange(
    connection: http.client.HTTPSConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> bytes:
    try:
        connection.connect()
        connection.sock.settimeout(_SECONDS)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as problem:
        raise Unreachable(f"https://{connection.host}:{connection.port}{path}: {problem}") from problem
    finally:
        connection.close()
    if answer.status == _OK:
        return content
    text = content.decode(errors="replace").strip()
    if answer.status in _FORBIDDEN:
        raise Rejected(text)
    raise Unreachable(f"https://{connection.host}:{connection.port}{path}: {answer.status} {text}")
