"""The prober, as a drill sees it: started, looked at, stopped. It never outlives its parent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from drkit import process
from drkit.drill import record
from drkit.drill.probes.echo import Echo
from drkit.drill.probes.timetable import Timetable, unheard
from drkit.drill.probes.wanted import Asking, Order
from drkit.drill.probes.ways import Ways
from drkit.errors import DrkitError, ProberFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_BEGIN_SECONDS = 30.0
_AGAIN_SECONDS = 1.0
"""Between two tries to open a way anew."""
_MORE_SECONDS = 10.0
"""Beside the longest timeout, for the last questions and the disk."""


class Prober:
    """A running prober. Made by ``start``; use it as a context, or ``stop`` it."""

    def __init__(self, order: Order, child: subprocess.Popen[bytes], ways: Ways, held: ExitStack) -> None:
        self._order, self._child, self._ways, self._held = order, child, ways, held
        assert child.stdin is not None  # noqa: S101 - pipes, all three
        assert child.stdout is not None  # noqa: S101
        assert child.stderr is not None  # noqa: S101
        self._last_words = process.TailReader(child.stderr)
        self._series: list[Timetable] = []
        self._begun: float | None = None
        self._gone: float | None = None
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._stopped = False
        self._speaking = threading.Lock()
        self._listener = threading.Thread(target=self._listen, name="prober", daemon=True)

    @property
    def pid(self) -> int:
        """The process."""
        return self._child.pid

    def begin(self) -> None:
        """Give it its order. Raises ``ProberFailed``."""
        self._listener.start()
        self._say(self._order.as_json())

    def begun(self, seconds: float = _BEGIN_SECONDS) -> float:
        """Wait until every series' first question has left; when that was, in seconds since the record's begin.

        Raises:
            ProberFailed: it died, or took longer.
            KeyboardInterrupt: a signal came.
        """
        until = time.monotonic() + seconds
        while self._begun is None:
            self.see()
            process.see_interrupt()
            if time.monotonic() > until:
                raise ProberFailed(f"the prober has not begun within {seconds:.0f} s", "is this machine overloaded?")
            with self._news:
                self._news.wait(0.1)
        return self._begun

    def see(self) -> None:
        """See that it still asks. Raises ``ProberFailed`` where it does not."""
        if self._child.poll() is not None and not self._stopped:
            raise self._failure()

    def stop(self) -> None:
        """Let it ask no more, wait for what is on its way, and see that all is in the record.

        Where it died, the writes that it may have tried are recorded as unknown.

        Raises:
            ProberFailed: it did not end well.
        """
        if self._stopped:
            return
        self._stopped = True
        timeouts = [each.probe.timeout for each in self._order.askings]
        try:
            with self._speaking:
                assert self._child.stdin is not None  # noqa: S101 - see __init__
                self._child.stdin.close()
            self._child.wait(max(timeouts, default=0.0) + _MORE_SECONDS)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            pass
        finally:
            self._end()
        if self._child.returncode != 0:
            self._settle()
            raise self._failure()

    def _end(self) -> None:
        self._child.poll()
        self._ended.set()
        process.stop(self._child, patience=0.0)
        self._listener.join(_MORE_SECONDS)
        self._held.close()

    def _settle(self) -> None:
        """Say of each write that may have been tried, and was not heard of, that its outcome is unknown."""
        if all(each.row is None for each in self._series):
            return
        with record.Recorder(self._order.record, self._order.start) as recorder:
            gone = recorder.at() if self._gone is None else round(self._gone, 6)
            for entry in list(unheard(record.read(recorder.path), self._series, gone)):
                recorder.write(entry)

    def _failure(self) -> ProberFailed:
        status = self._child.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return ProberFailed(
            "\n".join(["the prober " + how, process.tail(self._last_words.text())]).strip(),
            "what was seen until then is in the record; run the drill again",
        )

    def _say(self, words: dict[str, Any]) -> None:
        with self._speaking:
            stdin = self._child.stdin
            assert stdin is not None  # noqa: S101 - see __init__
            try:
                stdin.write(json.dumps(words).encode() + b"\n")
                stdin.flush()
            except (BrokenPipeError, ValueError):  # it died, or was stopped: whoever looks at it is told
                return

    def _listen(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - see __init__
        for line in self._child.stdout:
            if not line.endswith(b"\n"):
                break  # it was killed while it spoke
            told = json.loads(line)
            if "series" in told:
                self._series = [
                    Timetable(**{**each, "row": None if each["row"] is None else tuple(each["row"])})
                    for each in told["series"]
                ]
            elif "begun" in told:
                self._begun = told["begun"]
            elif "broken" in told:
                threading.Thread(target=self._reopen, args=(told["broken"],), name="way", daemon=True).start()
            with self._news:
                self._news.notify_all()
        self._gone = time.monotonic() - self._order.start
        with self._news:
            self._news.notify_all()

    def _reopen(self, way: str) -> None:
        while not self._ended.is_set():
            try:
                where = self._ways.reopen(way)
            except (DrkitError, process.DeadlineExceeded):
                self._ended.wait(_AGAIN_SECONDS)
            else:
                self._say({"way": way, "begins": where})
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except ProberFailed:
            if error is None:
                raise


def start(path: Path, began: float, askings: Sequence[Asking], ways: Ways | None = None) -> Prober:
    """Start asking; returns once every series' first question has left.

    Args:
        path: the record, which it appends to.
        began: what the machine's monotonic clock said at the record's begin (``Recorder.start``).
        askings: what is asked, each probe once.
        ways: those that places name; whoever opened them closes them, after the prober has stopped.

    Raises:
        ProberFailed: it cannot ask; the reason is in the message.
    """
    through = Ways() if ways is None else ways
    with ExitStack() as stack:
        echo = stack.enter_context(Echo())
        order = Order(path.absolute(), began, tuple(askings), through.now, echo.address)
        child = process.spawn(
            # -P: a directory that happens to be the current one holds no modules of ours.
            [sys.executable, "-P", "-m", "drkit.drill.probes"],
            env=process.clean_environment(),
            stdin=subprocess.PIPE,
        )
        stack.callback(process.stop, child)
        made = Prober(order, child, through, stack.pop_all())
    try:
        made.begin()
        made.begun()
    except BaseException:
        with made:
            raise
    return made
