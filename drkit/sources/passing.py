"""Streams that are looked at on their way: what a program prints passes drkit, which says afterwards what it was."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from drkit.errors import DrkitError, SourceFailed
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from drkit.cluster.node import Output

    Write = Callable[[bytes], None]
    Work = Callable[["Incoming", Write], dict[str, Any]]

_BLOCK = 256 * 1024


class Incoming:
    """What a program prints."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        return os.read(self._descriptor, min(size, _BLOCK))


class Passing:
    """A program's output on its way through ``work``, which reads it, writes what is stored, and says what it was."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        gate.widen(self._write)
        self._thread: threading.Thread | None = None
        self._output: Output | None = None
        self._details: dict[str, Any] = {}
        self._error: Exception | None = None

    def start(self, output: Output, work: Work) -> None:
        """Begin, in the background."""
        self._output = output
        # Descriptors of its own: the program is ended, and its pipe closed, while the thread may still read.
        incoming, outgoing = os.dup(output.fileno()), self._write

        def run() -> None:
            try:
                self._details = work(Incoming(incoming), lambda block: gate.write_all(outgoing, memoryview(block)))
            except Exception as error:  # noqa: BLE001 - carried to finish(), which raises it where it can be acted on
                self._error = error
            finally:
                os.close(incoming)
                os.close(outgoing)

        self._thread = threading.Thread(target=run, name="passing", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """What is stored."""
        return self._read

    def finish(self) -> None:
        """See that the program ended well and that what it printed is what it should be.

        Raises:
            SourceFailed: one of both is not so.
        """
        assert self._thread is not None  # noqa: S101 - started by passing()
        assert self._output is not None  # noqa: S101 - started by passing()
        self._thread.join()
        # Where the program failed, its words say why; what was wrong with its output is then only a consequence.
        self._output.finish()
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
        """Wait for the thread, whose program has ended."""
        if self._thread is not None:
            self._thread.join()
        else:
            with suppress(OSError):
                os.close(self._write)


@contextmanager
def passing(producer: AbstractContextManager[Output], prepare: Callable[[Output], Work]) -> Iterator[Passing]:
    """Start a program and let its output pass.

    Args:
        producer: starts it, and ends it in any case.
        prepare: may read the beginning of the output, and returns what is to be done with the rest.
    """
    made = Passing()
    with ExitStack() as stack:
        stack.callback(made.join)
        output = stack.enter_context(producer)
        stack.callback(made.abandon)
        made.start(output, prepare(output))
        yield made


class Copied:
    """What comes in, with every byte written on when it is read."""

    def __init__(self, incoming: Incoming, write: Write) -> None:
        self._incoming, self._write = incoming, write

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        block = self._incoming.read(size)
        if block:
            self._write(block)
        return block
