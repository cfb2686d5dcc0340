"""Changes of objects, as an API tells them over one answer that goes on for as long as both want.

The protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from drkit import __version__
from drkit.cluster.websocket import authority, cut, open_socket
from drkit.errors import KubeExpired, KubeRefused, KubeUnreachable

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from drkit.cluster.kube import Object
    from drkit.cluster.transport import Connection, Limits

ERROR: Final = "ERROR"
_GONE: Final = 410
_OK: Final = 200
_BLOCK: Final = 256 * 1024
_LARGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes; an object has some 2 MB at most."""
_LARGEST_REFUSAL: Final = 1024 * 1024


class Refusal(Exception):
    """The answer is an error: its status and its body."""

    def __init__(self, status: int, kind: str, body: bytes) -> None:
        super().__init__(status)
        self.status, self.kind, self.body = status, kind, body


class ObjectWatch:
    """See ``drkit.cluster.kube.Watch``."""

    def __init__(self, where: Connection, path: str, answer: http.client.HTTPResponse, opened: socket.socket) -> None:
        self._where, self._path, self._answer, self._opened = where, path, answer, opened

    def changes(self) -> Iterator[tuple[str, Object]]:
        """Each change as it comes: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object; see ``Watch.changes``."""
        for line in self._lines():
            try:
                told = json.loads(line)
                what, thing = told["type"], told["object"]
                if not isinstance(what, str) or not isinstance(thing, dict):
                    raise TypeError(what)  # noqa: TRY301 - malformed like what lacks a key
            except (ValueError, RecursionError, KeyError, TypeError):
                raise self._trouble("what it tells is malformed") from None
            if what == ERROR:
                raise self._ended(thing)
            yield what, thing

    def cut(self) -> None:
        """End it: ``changes`` fails. Safe from another thread."""
        cut(self._opened)

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        while True:
            try:
                block = self._answer.read1(_BLOCK)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._trouble(str(error) or type(error).__name__) from None
            if not block:
                if rest.strip():
                    raise self._trouble("the connection was cut")
                return
            *lines, rest = (rest + block).split(b"\n")
            yield from (line for line in lines if line.strip())
            if len(rest) > _LARGEST_LINE:
                raise self._trouble("what it tells is longer than any object")

    def _ended(self, status: Object) -> KubeRefused:
        code, said = status.get("code"), str(status.get("message") or "without a word")
        number = code if isinstance(code, int) else 0
        kind = KubeExpired if number == _GONE else KubeRefused
        return kind(number, f"the API at {authority(self._where)} ended the watch of {self._path}: {said}", "", said)

    def _trouble(self, said: str) -> KubeUnreachable:
        return unreachable(self._where, f"while {self._path} was watched: {said}")


def unreachable(where: Connection, said: str) -> KubeUnreachable:
    """The error where it does not answer, or not any more."""
    return KubeUnreachable(f"the API at {authority(where)} does not answer: {said}", "look at the API server")


@contextmanager
def opened(where: Connection, path: str, version: str, limits: Limits) -> Iterator[ObjectWatch]:
    """A watch for the time of the body.

    Args:
        where: the API.
        path: where the objects are listed.
        version: of the list after which changes are told.
        limits: how long it may take until it begins.

    Raises:
        KubeUnreachable: it does not begin.
        Refusal: the API does not want it.
    """
    query = urlencode({"watch": "true", "resourceVersion": version})
    connection = http.client.HTTPConnection(where.host, where.port)
    try:
        try:
            made = connection.sock = open_socket(where, limits.connect_seconds)
            made.settimeout(limits.read_seconds)
            headers = {"Accept": "application/json", "User-Agent": f"drkit/{__version__}", "Host": authority(where)}
            connection.request("GET", f"{where.prefix}{path}?{query}", headers={**headers, **where.headers})
            answer = connection.getresponse()
            if answer.status != _OK:
                raise Refusal(answer.status, answer.headers.get("Content-Type", ""), answer.read(_LARGEST_REFUSAL))
            made.settimeout(None)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(where, str(error) or type(error).__name__) from None
        with answer:
            yield ObjectWatch(where, path, answer, made)
    finally:
        connection.close()
