"""Asks a target as the prober does, in the test's own event loop, until the record holds what is waited for."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from drkit.drill.probes.schedule import Series
from drkit.drill.probes.timetable import timetables
from drkit.drill.probes.writer import Writer
from drkit.drill.record import Asked, Recorder, read
from drkit.drill.values import Probe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from drkit.drill.probes.port import Kind

PATIENCE = 30.0
TIMEOUT = 0.3


class Asking:
    """Series of questions that run, and what is in their record."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.trouble: list[BaseException] = []

    def answers(self, probe: str | None = None, *, session: bool | None = None) -> list[Asked]:
        """What became of the questions, by when they were due."""
        found = [each for each in read(self._recorder.path) if isinstance(each, Asked)]
        found = [each for each in found if probe in {None, each.probe} and session in {None, each.session}]
        return sorted(found, key=lambda each: each.due)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds."""
        give_up = time.monotonic() + PATIENCE
        while not holds():
            assert not self.trouble, self.trouble
            assert time.monotonic() < give_up, self.answers()[-10:]
            await asyncio.sleep(0.01)

    async def next(self, outcome: str, count: int = 3) -> list[Asked]:
        """Wait until of each series, of the questions that are due from now on, so many in a row have this outcome.

        Returns those that end this run, all series together.
        """
        now = self._recorder.at()
        found: list[Asked] = []

        def holds() -> bool:
            found.clear()
            series: dict[tuple[str, bool], list[Asked]] = {}
            for each in self.answers():
                series.setdefault((each.probe, each.session), []).append(each)
            for several in series.values():
                newest = several[-count:]
                if len(newest) < count or any(each.outcome != outcome or each.due < now for each in newest):
                    return False
                found.extend(newest)
            return bool(series)

        await self.until(holds)
        return found


@asynccontextmanager
async def asked(
    path: Path,
    kinds: Mapping[str, Kind],
    *,
    every: float = 0.03,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - each question's own
    session: bool = True,
) -> AsyncIterator[Asking]:
    """Ask for the time of the body.

    Args:
        path: the record.
        kinds: by the names of the probes.
        every: seconds.
        timeout: seconds.
        session: whether there is a long-lived connection too.
    """
    with Recorder(path, time.monotonic()) as recorder:
        made = Asking(recorder)
        writer = Writer(recorder, made.trouble.append)
        probes = {name: Probe(name, "of a test", name, every, timeout, None, session) for name in kinds}
        which = [(probes[name], kind.writes) for name, kind in kinds.items()]
        series: Sequence[Series] = [
            Series(each, kinds[each.probe], timeout, recorder, writer, made.trouble.append, lambda: None)
            for each in timetables(which, recorder.at() + 0.01)
        ]
        for each in series:
            each.start()
        try:
            yield made
        finally:
            await asyncio.gather(*(each.stop() for each in series))
            writer.close()
        assert not made.trouble
