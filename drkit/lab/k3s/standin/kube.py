"""A client for the few API calls that k3s itself makes."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

MERGE = "application/merge-patch+json"
_JSON = "application/json"
_SECONDS = 15.0
_NOT_FOUND = 404
_CONFLICT = 409
_FAILED = 400


class ApiError(Exception):
    """The API server refused, or could not be reached; ``status`` is 0 for the latter."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """One API server and the certificate to reach it with."""

    def __init__(self, server: str, authority: Path, stem: Path) -> None:
        parts = urlsplit(server)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(f"{stem}.crt", f"{stem}.key")

    def ready(self) -> bool:
        """Whether the API server says that it is."""
        try:
            self._send("GET", "/readyz", None, _JSON)
        except ApiError:
            return False
        return True

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at ``path``, None where there is none.

        Raises:
            ApiError: likewise below.
        """
        try:
            return self._json("GET", path)
        except ApiError as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise

    def list(self, path: str) -> list[dict[str, Any]]:
        """The objects of a collection; those in the API server's memory, which may be a moment old."""
        items = self._json("GET", f"{path}?resourceVersion=0").get("items")
        return items or []

    def create(self, path: str, body: dict[str, Any]) -> bool:
        """Create an object; False where it is there already."""
        try:
            self._json("POST", path, body)
        except ApiError as problem:
            if problem.status == _CONFLICT:
                return False
            raise
        return True

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Merge ``body`` into an object."""
        self._json("PATCH", path, body, MERGE)

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = _JSON) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._send(method, path, body, kind))
        return found

    def _send(self, method: str, path: str, body: dict[str, Any] | None, kind: str) -> bytes:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_SECONDS, context=self._context)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Content-Type": kind, "Accept": _JSON},
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            raise ApiError(f"the API server at {self._host}:{self._port} does not answer: {problem}") from problem
        finally:
            connection.close()
        if answer.status >= _FAILED:
            raise ApiError(f"{method} {path}: {answer.status} {content.decode(errors='replace')[:300]}", answer.status)
        return content
