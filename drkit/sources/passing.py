"""Streams that are looked at on their way: what a program prints passes drkit, which says afterwards what it was."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from drkit.errors import DrkitError, SourceFailed
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from drkit.archive import Source
    from drkit.cluster.node import Output

    Write = Callable[[bytes], None]
    Work = Callable[[Write], dict[str, Any]]
    Prepared = Callable[["Incoming", Write], dict[str, Any]]
    Prepare = Callable[[Output], Prepared]

_BLOCK = 256 * 1024


class Incoming:
    """What a program prints."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        return os.read(self._descriptor, min(size, _BLOCK))


class Passing:
    """Bytes on their way through ``work``, which writes what is stored and says what it was.

    Args:
        work: runs in a thread.
        finish: sees that what the bytes came from ended well.
    """

    def __init__(self, work: Work, finish: Callable[[], None]) -> None:
        self._read, self._write = os.pipe()
        gate.widen(self._write)
        self._work, self._finish = work, finish
        self._details: dict[str, Any] = {}
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="passing", daemon=True)

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._details = self._work(lambda block: gate.write_all(self._write, memoryview(block)))
        except Exception as error:  # noqa: BLE001 - carried to finish(), which raises it where it can be acted on
            self._error = error
        finally:
            os.close(self._write)

    def fileno(self) -> int:
        """What is stored."""
        return self._read

    def finish(self) -> None:
        """See that what the bytes came from ended well, and that they are what they should be.

        Raises:
            SourceFailed: one of both is not so.
        """
        self._thread.join()
        # Where a program failed, its words say why; what was wrong with its output is then only a consequence.
        self._finish()
        if isinstance(self._error, SourceFailed):
            raise self._error
        if self._error is not None:
            message = self._error.message if isinstance(self._error, DrkitError) else repr(self._error)
            raise SourceFailed(message) from self._error

    def details(self) -> dict[str, Any]:
        """What ``work`` said; valid after ``finish``."""
        return self._details

    def abandon(self) -> None:
        """Let nobody read it any more: who still writes fails."""
        os.close(self._read)

    def join(self) -> None:
        """Wait for the thread: whatever it reads from has been ended."""
        self._thread.join()


@contextmanager
def working(work: Work, end: Callable[[], object], finish: Callable[[], None] = lambda: None) -> Iterator[Passing]:
    """Let ``work`` run in the background for the time of the body.

    Args:
        work: writes what is stored.
        end: lets whatever ``work`` reads from end.
        finish: sees that it ended well.
    """
    made = Passing(work, finish)
    made.start()
    try:
        yield made
    finally:
        made.abandon()
        end()
        made.join()


@contextmanager
def passing(producer: AbstractContextManager[Output], prepare: Prepare) -> Iterator[Passing]:
    """Start a program on a node and let its output pass.

    Args:
        producer: starts it, and ends it in any case.
        prepare: may read the beginning of the output, and returns what is to be done with the rest.
    """
    with ExitStack() as stack:
        output = stack.enter_context(producer)
        work = prepare(output)
        # A descriptor of its own: the program is ended, and its pipe closed, while the thread may still read.
        incoming = os.dup(output.fileno())
        stack.callback(os.close, incoming)
        with working(lambda write: work(Incoming(incoming), write), output.end, output.finish) as stream:
            yield stream


class Copied:
    """What comes in, with every byte written on when it is read."""

    def __init__(self, incoming: Source, write: Write) -> None:
        self._incoming, self._write = incoming, write

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        block = self._incoming.read(size)
        if block:
            self._write(block)
        return block
