"""Objects for a cluster that is measured."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import urllib3

from drkit.clock import SystemClock
from drkit.cluster.credentials import Identity
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from drkit.cluster.kubeconfig import Access

_NAMESPACES = 10
_WRITERS = 8
_TEXT_CHARACTERS = 600
"""With names, labels and what the API adds an object then has 1 KB."""


class Filler:
    """Makes ConfigMaps of 1 KB, the same ones in every run."""

    def __init__(self, access: Access) -> None:
        identity = Identity(access, SystemClock())
        url = urllib3.util.parse_url(access.server)
        self._headers = {"Content-Type": "application/json", **identity.headers()}
        self._pool = urllib3.HTTPSConnectionPool(
            str(url.host), url.port, maxsize=_WRITERS, block=True, ssl_context=identity.context()
        )
        self._random = random.Random(7)
        for number in range(_NAMESPACES):
            self._post("/api/v1/namespaces", {"metadata": {"name": f"bench-{number}"}})

    def fill(self, numbers: range) -> None:
        """Make those with these numbers."""
        print(f"making {len(numbers)} objects", flush=True)
        texts = [self._text() for _ in numbers]
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(self._make, numbers, texts))

    def _text(self) -> str:
        return "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz     \n", k=_TEXT_CHARACTERS))

    def _make(self, number: int, text: str) -> None:
        namespace = f"bench-{number % _NAMESPACES}"
        labels = {"app.kubernetes.io/name": f"app-{number % 50}", "app.kubernetes.io/part-of": "bench"}
        data = {"settings.ini": text, "level": "info", "replicas": "3", "url": f"http://service-{number}:8080/path"}
        obj = {"metadata": {"name": f"settings-{number:05}", "labels": labels}, "data": data}
        self._post(f"/api/v1/namespaces/{namespace}/configmaps", obj)

    def _post(self, path: str, obj: dict[str, Any]) -> None:
        answer = self._pool.request("POST", path, body=json.dumps(obj), headers=self._headers)
        if answer.status != 201:
            raise DrkitError(f"{path}: {answer.status} {answer.data[:200]!r}")
