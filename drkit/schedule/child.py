"""One run of a job as a process of its own: whatever becomes of it, the scheduler stays as it was."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.schedule.events import Outcome

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Callable, Mapping, Sequence

PATIENCE = 120.0
"""Seconds that an interrupted command has to undo what it began."""
_MOST_PRINTED = 8 * 1024 * 1024
_LONGEST_LINE = 16 * 1024
_BLOCK = 64 * 1024
_BLOCKS_OF_A_PIPE = 32
_LOOK_SECONDS = 0.2
_OOM_SCORE = "500"
"""Where memory runs out, the kernel takes the job and not the scheduler (proc(5), oom_score_adj)."""


@dataclass(frozen=True)
class Result:
    """How a run ended: its exit code, negative for a signal, and what it printed, as far as it is kept."""

    outcome: Outcome
    status: int
    printed: bytes
    last_words: str


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    limit: float,
    ending: threading.Event,
    on_line: Callable[[str], None],
    patience: float = PATIENCE,
) -> Result:
    """Run a command to its end, or end it: politely, and by force where it does not listen.

    Args:
        argv: the program and its arguments.
        environment: its whole environment.
        limit: seconds that it may take.
        ending: set where the scheduler has to end.
        on_line: told of each line that it says on stderr.
        patience: seconds between the request to end and the force.

    Raises:
        OSError: it cannot be started.
    """
    child = process.spawn(argv, env=environment)
    try:
        with suppress(OSError):
            Path(f"/proc/{child.pid}/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
        watched = _Watched(child, on_line)
        why = watched.until_end(limit, ending, patience)
    finally:
        process.stop(child)
    status = child.returncode
    outcome = Outcome.DONE if status == 0 else (why or Outcome.FAILED)
    return Result(outcome, status, bytes(watched.printed), "\n".join(watched.words))


class _Watched:
    """A child and what it says; its memory is bounded whatever that is."""

    def __init__(self, child: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
        self.printed = bytearray()
        self.words: deque[str] = deque(maxlen=process.TAIL_LINES)
        self._child, self._on_line = child, on_line
        self._line = bytearray()

    def until_end(self, limit: float, ending: threading.Event, patience: float) -> Outcome | None:
        """Wait; why it was asked to end, if it was."""
        why: Outcome | None = None
        deadline, force = time.monotonic() + limit, float("inf")
        with ExitStack() as stack:
            exited = os.pidfd_open(self._child.pid)
            stack.callback(os.close, exited)
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(exited, selectors.EVENT_READ)
            for stream, take in ((self._child.stdout, self._print), (self._child.stderr, self._say)):
                assert stream is not None  # noqa: S101 - both are pipes
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, take)
            while not _listen(selector, exited):
                now = time.monotonic()
                if why is None and (ending.is_set() or now > deadline):
                    why = Outcome.INTERRUPTED if ending.is_set() else Outcome.TIMED_OUT
                    self._child.send_signal(signal.SIGTERM)
                    force = now + patience
                elif now > force:
                    with suppress(ProcessLookupError):
                        os.killpg(self._child.pid, signal.SIGKILL)
            _drain(selector)
        self._say(b"\n")
        return why

    def _print(self, block: bytes) -> None:
        self.printed += block[: max(0, _MOST_PRINTED - len(self.printed))]

    def _say(self, block: bytes) -> None:
        *whole, rest = block.split(b"\n")
        for part in whole:
            self._line += part[: max(0, _LONGEST_LINE - len(self._line))]
            text = self._line.decode(errors="replace").rstrip()
            self._line.clear()
            if text:
                self.words.append(text)
                self._on_line(text)
        self._line += rest[: max(0, _LONGEST_LINE - len(self._line))]


def _listen(selector: selectors.BaseSelector, exited: int) -> bool:
    """Take what the child says, for a moment; whether it has ended."""
    ready = [key for key, _ in selector.select(_LOOK_SECONDS)]
    for key in ready:
        if key.data is not None and _move(key) == 0:
            selector.unregister(key.fileobj)
    return any(key.fd == exited for key in ready)


def _drain(selector: selectors.BaseSelector) -> None:
    """Take what a dead child left in its pipes. What its own children may still say is not waited for."""
    for key in list(selector.get_map().values()):
        for _ in range(_BLOCKS_OF_A_PIPE):
            if key.data is None or not _move(key):
                break


def _move(key: selectors.SelectorKey) -> int | None:
    """Hand over what is there: how many bytes, 0 at the end, None where nothing has come yet."""
    try:
        block = os.read(key.fd, _BLOCK)
    except BlockingIOError:
        return None
    key.data(block)
    return len(block)
