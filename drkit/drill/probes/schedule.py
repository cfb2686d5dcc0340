"""Asks one series of questions in time, whatever becomes of them: an open loop.

Question k is due at a fixed time, and leaves then. It has its own task and its own end, ``timeout`` seconds after it
was due: so no more than ``timeout / every`` of a series are ever on their way, and none waits for another one's target.

A session is one connection that is kept, over which one question follows another; a question whose turn has not come
waits, as a user would, and its time runs. What counts is whether somebody who has a session sees an error:

- A session that broke costs every question that was on it, and the next one opens another; what fails until that comes
  about, fails.
- One that the other side had ended between two questions costs the next question (``session ended``): to who speaks
  SQL or TCP that is an error. It costs nothing over HTTP and DNS, whose clients all open another connection by
  themselves (RFC 9110, 9.2.2; RFC 7766, 6.2.3), nor where it was announced (``Connection: close``).
- A question that is not answered in time takes its connection with it: an answer that comes later would be taken for
  the next one's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drkit.drill.probes.doors import said
from drkit.drill.probes.port import Failed
from drkit.drill.record import FAILED, OK, UNKNOWN, Asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.drill.probes.port import Kind, Line, Reply
    from drkit.drill.probes.timetable import Timetable
    from drkit.drill.probes.writer import Writer
    from drkit.drill.record import Recorder

ENDED = "session ended"
_RESOLUTION = 1e-6
"""Seconds; times in the record have six digits."""


class _Question:
    """One question on its way: the line that it is on, and whether it may have been done."""

    def __init__(self) -> None:
        self.line: Line | None = None

    @property
    def in_doubt(self) -> bool:
        return self.line is not None and self.line.in_doubt


class Series:
    """One series of questions.

    Args:
        timetable: when they leave.
        kind: how they are asked.
        timeout: seconds after which one has failed.
        recorder: for the time.
        writer: takes what became of them.
        on_trouble: takes what is no target's fault; asking cannot go on.
        on_left: is called once, when the first one has left.
    """

    def __init__(
        self,
        timetable: Timetable,
        kind: Kind,
        timeout: float,
        recorder: Recorder,
        writer: Writer,
        on_trouble: Callable[[BaseException], None],
        on_left: Callable[[], None],
    ) -> None:
        self._timetable, self._kind, self._timeout = timetable, kind, timeout
        self._recorder, self._writer = recorder, writer
        self._on_trouble, self._on_left = on_trouble, on_left
        self._loop = asyncio.get_running_loop()
        self._ask = self._ask_session if timetable.session else self._ask_anew
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._kept: Line | None = None

    def start(self) -> None:
        """Begin; the first question leaves when it is due."""
        self._timer = self._loop.call_at(self._when(0), self._leave)

    async def stop(self) -> None:
        """Let no more leave, and wait for those that have; none takes longer than its timeout."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._kept is not None:
            self._kept.close()

    def _when(self, number: int) -> float:
        """By the loop's clock, which is the machine's monotonic one."""
        return self._recorder.start + self._timetable.due(number)

    def _leave(self) -> None:
        # Where the loop was held up, all that are due leave now, each with the time that it was due at.
        while self._when(self._number) <= self._loop.time() + _RESOLUTION:
            task = self._loop.create_task(self._question(self._number))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            self._number += 1
        self._timer = self._loop.call_at(self._when(self._number), self._leave)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_trouble(error)

    async def _question(self, number: int) -> None:
        sent = self._recorder.at()
        if number == 0:
            self._on_left()
        row = self._timetable.row_of(number)
        outcome, why, reply, asked = OK, "", None, _Question()
        try:
            async with asyncio.timeout_at(self._when(number) + self._timeout):
                reply = await self._ask(asked, row)
        except (Failed, OSError, EOFError) as error:
            outcome, why = UNKNOWN if asked.in_doubt else FAILED, said(error)
        entry = Asked(
            self._recorder.at(),
            self._timetable.probe,
            number,
            self._timetable.due(number),
            sent,
            outcome,
            self._timetable.session,
            why,
            row,
            "" if reply is None else reply.server,
            None if reply is None else reply.timeline,
        )
        # An acknowledgement counts once it cannot be lost with this machine.
        self._writer.put(entry, durably=row is not None and outcome == OK)

    async def _ask_anew(self, asked: _Question, row: int | None) -> Reply:
        asked.line = await self._kind.open()
        try:
            return await asked.line.ask(row)
        finally:
            asked.line.close()

    async def _ask_session(self, asked: _Question, row: int | None) -> Reply:
        async with self._turn:
            if self._kept is not None and self._kept.ended:
                self._drop()
                if not self._kind.reopens:
                    raise Failed(ENDED)
            if self._kept is None:
                self._kept = await self._kind.open()
            asked.line = self._kept
            try:
                return await self._kept.ask(row)
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
