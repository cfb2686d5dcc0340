"""A client for the API calls that the stand-in makes, with the pod's service account."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Any

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 10.0
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
_NOT_FOUND = 404
_CONFLICT = 409
_FAILED = 400
MANAGER = "cnpg-stand-in"
"""As whom it owns the fields that it sets."""

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused, or could not be reached; ``status`` is 0 for the latter."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """The API server of the cluster that this pod runs in."""

    def __init__(self) -> None:
        self._host = os.environ["KUBERNETES_SERVICE_HOST"]
        self._port = int(os.environ["KUBERNETES_SERVICE_PORT"])
        self._context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str) -> Object | None:
        """The object at ``path``, None where there is none.

        Raises:
            ApiError: likewise below.
        """
        try:
            return self._send("GET", path)
        except ApiError as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise

    def list(self, path: str) -> list[Object]:
        """The objects of a collection."""
        return self._send("GET", path).get("items") or []

    def create(self, path: str, body: Object) -> bool:
        """Create an object; False where it is there already."""
        try:
            self._send("POST", path, body)
        except ApiError as problem:
            if problem.status == _CONFLICT:
                return False
            raise
        return True

    def replace(self, path: str, body: Object) -> bool:
        """Replace an object; False where somebody else has changed it in between."""
        try:
            self._send("PUT", path, body)
        except ApiError as problem:
            if problem.status == _CONFLICT:
                return False
            raise
        return True

    def apply(self, path: str, body: Object) -> None:
        """Make an object's fields what ``body`` says, whoever set them before (server-side apply)."""
        self._send("PATCH", f"{path}?fieldManager={MANAGER}&force=true", body, _APPLY)

    def patch(self, path: str, body: Object) -> None:
        """Merge ``body`` into an object."""
        self._send("PATCH", path, body, _MERGE)

    def delete(self, path: str) -> None:
        """Delete an object, which need not be there."""
        try:
            self._send("DELETE", path)
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise

    def _send(self, method: str, path: str, body: Object | None = None, kind: str = _JSON) -> Object:
        headers = {"Authorization": f"Bearer {(_ACCOUNT / 'token').read_text().strip()}", "Content-Type": kind}
        data = None if body is None else json.dumps(body)
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=_SECONDS, context=self._context
                )
            self._connection.request(method, path, data, {**headers, "Accept": _JSON})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            raise ApiError(f"the API server at {self._host}:{self._port} does not answer: {problem!r}") from problem
        if answer.status >= _FAILED:
            raise ApiError(f"{method} {path}: {answer.status} {content.decode(errors='replace')[:400]}", answer.status)
        found: Object = json.loads(content)
        return found
