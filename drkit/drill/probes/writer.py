"""Writes the record in a thread of its own: a disk that takes its time delays no question."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.drill.record import Entry, Recorder


_GATHER_SECONDS = 0.02
"""Some entries at a time: to wake up for each one would take as long as to ask the question."""


class Writer:
    """Entries are written in the order in which they come; close it, and all of them are there.

    Args:
        recorder: what they are written with.
        on_trouble: is called, in the thread, where that cannot be done.
    """

    def __init__(self, recorder: Recorder, on_trouble: Callable[[OSError], None]) -> None:
        self._recorder, self._on_trouble = recorder, on_trouble
        self._queue: SimpleQueue[tuple[Entry, bool] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    def put(self, entry: Entry, *, durably: bool = False) -> None:
        """Have an entry written, and where it has to outlive a crash, let it be on the disk before the next one."""
        self._queue.put((entry, durably))

    def close(self) -> None:
        """Wait until all is written."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while batch := self._batch():
                last = len(batch) - 1
                # One wait for the disk serves all that came meanwhile.
                durably = any(each[1] for each in batch)
                for place, (entry, _) in enumerate(batch):
                    self._recorder.write(entry, durably=durably and place == last)
        except OSError as error:
            self._on_trouble(error)

    def _batch(self) -> list[tuple[Entry, bool]]:
        """What has come, at least one; nothing at the end."""
        found: list[tuple[Entry, bool]] = []
        while True:
            if (each := self._queue.get()) is None:
                self._queue.put(None)
                return found
            if not found:
                time.sleep(_GATHER_SECONDS)
            found.append(each)
            if self._queue.empty():
                return found
