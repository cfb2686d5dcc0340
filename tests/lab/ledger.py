"""A ledger of writes: unique keys, sent to the sample application, noted on disk when they are acknowledged."""

from __future__ import annotations

import http.client
import itertools
import os
import threading
import uuid
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_ANSWER_SECONDS = 4.0
_PAUSE_SECONDS = 0.1


class Ledger:
    """Writes documents from several threads at once for the time of a ``with`` body, each over a new connection.

    Args:
        path: the file of acknowledged keys, one a line, fsynced one by one.
        address: of the load balancer.
        host: the site's name.
        writers: how many threads.
    """

    def __init__(self, path: Path, address: str, host: str, writers: int = 4) -> None:
        self._path, self._address, self._host = path, address, host
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._run = uuid.uuid4().hex[:8]
        self._numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(writers)]
        self.sent = 0
        path.touch()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> set[str]:
        """The keys that were acknowledged so far."""
        with self._lock:
            return set(self._path.read_text().split())

    def _write(self) -> None:
        while not self._end.wait(_PAUSE_SECONDS):
            key = f"{self._run}-{next(self._numbers)}"
            self.sent += 1
            if self._stored(key):
                with self._lock, self._path.open("a") as file:
                    file.write(f"{key}\n")
                    file.flush()
                    os.fsync(file.fileno())

    def _stored(self, key: str) -> bool:
        connection = http.client.HTTPConnection(self._address, 80, timeout=_ANSWER_SECONDS)
        try:
            connection.request("POST", "/documents", b"text", {"Host": self._host, "Key": key, "Connection": "close"})
            return connection.getresponse().status == http.client.CREATED
        except (OSError, http.client.HTTPException):
            return False  # unknown: it may be stored or not
        finally:
            connection.close()
