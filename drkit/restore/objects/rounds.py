"""Objects side by side, and again what was refused for a reason that passes."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from drkit import process
from drkit.errors import KubeUnreachable
from drkit.restore.objects.put import NotPut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drkit.restore.objects.gather import Entry
    from drkit.restore.objects.put import Put

    Act = Callable[[Entry], Put | None]

THREADS: Final = 8
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Pace:
    """How long to wait before another look, and when that has been done for long enough.

    Args:
        patience: seconds without progress.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.begin()

    def begin(self) -> None:
        """There was progress."""
        self._until = time.monotonic() + self._patience
        self._pause = _FIRST_PAUSE

    def is_over(self) -> bool:
        """Whether it was waited for long enough."""
        return time.monotonic() >= self._until

    def wait(self) -> None:
        """Wait a little, each time a little longer."""
        process.pause(min(self._pause, max(self._until - time.monotonic(), _FIRST_PAUSE)))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class Round:
    """Each of some objects once, several at a time.

    Args:
        act: does it; raises ``NotPut`` or ``KubeUnreachable``.
        tell: called after each object with which it is over.
    """

    def __init__(self, act: Act, tell: Callable[[], None]) -> None:
        self._act, self._tell = act, tell
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.done: dict[Entry, Put | None] = {}
        self.failed: dict[Entry, str] = {}
        self.refused: dict[Entry, str] = {}
        """For reasons that pass."""
        self.gone: KubeUnreachable | None = None
        """Nobody answered any more; the rest was not tried."""

    def run(self, entries: Sequence[Entry]) -> list[Entry]:
        """Do it, and return those with which it is not over."""
        waiting = iter(entries)
        with ThreadPoolExecutor(THREADS, "objects") as pool:
            futures = [pool.submit(self._work, waiting) for _ in range(min(THREADS, len(entries)))]
            try:
                for future in futures:
                    future.result()
            finally:
                self._stop.set()
        return [entry for entry in entries if entry not in self.done and entry not in self.failed]

    def _work(self, waiting: Iterator[Entry]) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    entry = next(waiting, None)
                if entry is None:
                    return
                self._one(entry)
        except BaseException:
            self._stop.set()
            raise

    def _one(self, entry: Entry) -> None:
        try:
            put = self._act(entry)
        except NotPut as error:
            with self._lock:
                (self.refused if error.again else self.failed)[entry] = error.why
                if not error.again:
                    self._tell()
        except KubeUnreachable as error:
            self.gone = error
            self._stop.set()
        else:
            with self._lock:
                self.done[entry] = put
                self._tell()


def settle(entries: Sequence[Entry], act: Act, patience: float, tell: Callable[[], None]) -> Round:
    """Do it with each, again and again, until it is over with all or there was no progress for long.

    Returns:
        What became of all: nothing is ``refused`` any more, that has ``failed``.

    Raises:
        KubeUnreachable: nobody answers any more.
    """
    whole = Round(act, tell)
    pace = Pace(patience)
    while entries:
        one = Round(act, tell)
        left = one.run(entries)
        whole.done |= one.done
        whole.failed |= one.failed
        if len(left) < len(entries):
            pace.begin()
        elif pace.is_over():
            if one.gone is not None:
                raise one.gone
            whole.failed |= one.refused
            return whole
        entries = left
        if entries:
            pace.wait()
    return whole
