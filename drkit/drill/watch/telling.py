"""The way of changes into the record, which no trouble leaves."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from drkit.drill.record import WATCH_TROUBLE
from drkit.drill.watch.changes import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.drill.record import Recorder

_SHOWN = 400


class Teller:
    """Writes changes as events. Safe to use from several threads; raises nothing: a drill is not ended by its watcher.

    Args:
        recorder: of the drill.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._trouble: dict[str, str] = {}

    def tell(self, found: Iterable[Change], within: float | None = None) -> None:
        """Write them, as seen now; see ``Change.seen`` for ``within``."""
        at = self._recorder.at()
        for each in found:
            with suppress(OSError):  # a full disk: the prober's entries are missing as well, and the judge sees that
                self._recorder.write(each.seen(at, within))

    def trouble(self, who: str, said: str) -> None:
        """Write that something is not watched as it should be; once, for as long as the same is said of it."""
        line = (said.splitlines() or [""])[0][:_SHOWN]
        with self._lock:
            if self._trouble.get(who) == line:
                return
            self._trouble[who] = line
        self.tell([Change(WATCH_TROUBLE, who, {"said": line})])

    def well(self, who: str) -> None:
        """Its trouble is over: the next one is told, even if it is the same."""
        with self._lock:
            self._trouble.pop(who, None)
