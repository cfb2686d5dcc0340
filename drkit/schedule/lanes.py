"""Who may work in which vault: one at a time in each, in the order in which they came."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_SECONDS = 0.2


class Lanes:
    """Vaults by name. All that a job needs is taken at once, so that no two can wait for each other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: list[tuple[str, frozenset[str]]] = []

    @contextmanager
    def hold(
        self, who: str, vaults: frozenset[str], ending: threading.Event, waiting: Callable[[str], None]
    ) -> Iterator[bool]:
        """Have these vaults for the body; whether they were had, which they are unless the scheduler ends.

        Args:
            who: the job.
            vaults: what it uses.
            ending: set where nobody should wait any more.
            waiting: told once, with the job before it, where there is something to wait for.
        """
        mine = (who, vaults)
        with self._changed:
            self._line.append(mine)
        try:
            yield self._wait(mine, ending, waiting)
        finally:
            with self._changed:
                self._line.remove(mine)
                self._changed.notify_all()

    def _wait(self, mine: tuple[str, frozenset[str]], ending: threading.Event, waiting: Callable[[str], None]) -> bool:
        told = False
        with self._changed:
            while (before := self._before(mine)) is not None and not ending.is_set():
                if not told:
                    waiting(before)
                    told = True
                self._changed.wait(_LOOK_SECONDS)
        return not ending.is_set()

    def _before(self, mine: tuple[str, frozenset[str]]) -> str | None:
        """Who came earlier and uses one of the same vaults."""
        earlier = self._line[: self._line.index(mine)]
        return next((who for who, vaults in earlier if vaults & mine[1]), None)
