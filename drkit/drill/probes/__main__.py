"""The prober's process: ``python -P -m drkit.drill.probes``, started by ``drkit.drill.probes.prober`` alone.

Stdin: the order as one line of JSON; then, line by line, where a way begins now. Its end is the word to stop, and comes
too when the parent dies. Stdout, line by line: the timetables; that all series have begun; which way is broken.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from drkit.drill.probes import wanted
from drkit.drill.probes.doors import Ways
from drkit.drill.probes.kinds import kind_of
from drkit.drill.probes.port import OwnTrouble
from drkit.drill.probes.schedule import Series
from drkit.drill.probes.timetable import timetables
from drkit.drill.probes.writer import Writer
from drkit.drill.record import Recorder, Used
from drkit.errors import DrkitError
from drkit.masking import mask, register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.drill.probes.port import Kind
    from drkit.drill.probes.wanted import Order

LARGEST_ORDER = 16 * 1024 * 1024
"""Bytes of the first line."""
_READY_SECONDS = 0.2
"""From the timetables to the first question: the loop has nothing else to do by then."""
_USED_SECONDS = 1.0
_GARBAGE = (500, 4, 200)
"""When garbage is collected (gc.set_threshold): little and often, since everything waits meanwhile. Each connection of
asyncio's leaves some; what was made at the start never becomes any, and is not looked at."""


def _tell(**words: Any) -> None:
    """One line to the parent."""
    os.write(1, (json.dumps(words, separators=(",", ":")) + "\n").encode())


def _go_first() -> None:
    """Go before others on this machine, where that is allowed: what leaves late for want of a core proves nothing.

    Threads that are started later do as well, as they have to: this one waits for them (the interpreter's lock).
    """
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


class _Probing:
    """All series, from the first question to the last."""

    def __init__(self, order: Order, recorder: Recorder) -> None:
        self._loop = asyncio.get_running_loop()
        self._recorder = recorder
        self._trouble: asyncio.Future[None] = self._loop.create_future()
        self._ways = Ways(dict(order.ways), lambda way: _tell(broken=way))
        kinds = {each.probe.name: kind_of(each, self._ways, order.control) for each in order.askings}
        _go_first()
        self._writer = Writer(recorder, self._fail_from_outside)
        self._series = self._made(order, kinds)
        self._missing = len(self._series)
        self._began = (time.process_time(), time.monotonic())
        self._timer: asyncio.TimerHandle | None = None

    def _made(self, order: Order, kinds: Mapping[str, Kind]) -> list[Series]:
        probes = {each.probe.name: each.probe for each in order.askings}
        which = [(each.probe, kinds[each.probe.name].writes) for each in order.askings]
        found = timetables(which, self._recorder.at() + _READY_SECONDS)
        _tell(series=[vars(each) for each in found])
        return [
            Series(
                each,
                kinds[each.probe],
                probes[each.probe].timeout,
                self._recorder,
                self._writer,
                self._fail,
                self._one_left,
            )
            for each in found
        ]

    def _one_left(self) -> None:
        self._missing -= 1
        if not self._missing:
            _tell(begun=self._recorder.at())

    def _fail(self, error: BaseException) -> None:
        if not self._trouble.done():
            self._trouble.set_exception(error)

    def _fail_from_outside(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _say_used(self) -> None:
        processor, wall = self._began
        used = Used(self._recorder.at(), round(time.process_time() - processor, 6), round(time.monotonic() - wall, 6))
        self._writer.put(used)
        self._timer = self._loop.call_later(_USED_SECONDS, self._say_used)

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Ask until the parent has no more to say. Raises what the prober cannot go on with."""
        for each in self._series:
            each.start()
        self._timer = self._loop.call_later(_USED_SECONDS, self._say_used)
        listening = asyncio.create_task(self._listen(reader))
        await asyncio.wait((listening, self._trouble), return_when=asyncio.FIRST_COMPLETED)
        if self._timer is not None:
            self._timer.cancel()
        if listening.done():
            listening.result()
        listening.cancel()
        await asyncio.gather(*(each.stop() for each in self._series))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            told = json.loads(line)
            where = told["begins"]
            self._ways.now[told["way"]] = None if where is None else (where[0], where[1])

    def finish(self) -> None:
        """Have all written. Raises what the prober could not go on with."""
        self._writer.close()
        if self._trouble.done():
            self._trouble.result()
        self._trouble.cancel()


async def _main() -> None:
    reader = asyncio.StreamReader(limit=LARGEST_ORDER)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    order = wanted.from_json(json.loads(await reader.readline()))
    for secret in wanted.registered(order):
        register(secret)
    with Recorder(order.record, order.start) as recorder:
        probing = _Probing(order, recorder)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        try:
            await probing.run(reader)
        finally:
            probing.finish()


def main() -> int:
    """Run it. Ends with 0 once it was told to stop and all is written, with 1 and the reason on stderr else."""
    # A question that waits holds a descriptor; when every target hangs there are some thousands.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        asyncio.run(_main())
    except (OwnTrouble, DrkitError, OSError, ValueError) as error:
        print(mask(str(error)), file=sys.stderr)  # noqa: T201 - to the parent
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
