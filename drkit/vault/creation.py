"""One ``borg create``: started at once or held back, fed through the gate, and ended by a verdict."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from drkit import process
from drkit.errors import ConnectionCut
from drkit.vault import gate

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from drkit.vault.port import Stream

STALL_SECONDS = 900.0
"""How long a stream may stand still. Also the bound for a lock that never comes and a far side that died silently."""
_END_SECONDS = 600.0
"""For what Borg does after its last word: it saves its cache."""


class Hold:
    """The drkit side of ``drkit.vault.hold``: a FIFO into which the two words are written."""

    def __init__(self, directory: Path, number: int) -> None:
        self.path = directory / f"hold-{number}"
        os.mkfifo(self.path, 0o600)
        # Both ways, so that neither end waits for the other, and a word given early stays until it is read.
        self._fifo = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)

    def next(self) -> None:
        """Give the first word, which lets ssh connect, or the second, which lets Borg speak."""
        os.write(self._fifo, b"!")

    def close(self) -> None:
        """Remove the FIFO."""
        os.close(self._fifo)
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Ended:
    """How the stream went: its size and SHA-256 where it came to its end, and whether it began at all."""

    size: int
    sha256: str
    began: bool


class Creation:
    """A running ``borg create`` with its gate's control socket."""

    def __init__(
        self, borg: subprocess.Popen[bytes], last_words: process.TailReader, control: socket.socket, hold: Hold | None
    ) -> None:
        assert borg.stdout is not None  # noqa: S101 - spawn's default is a pipe
        self.borg, self.last_words = borg, last_words
        self._control, self._hold = control, hold
        self._stdout: IO[bytes] = borg.stdout

    def alive(self) -> bool:
        """Whether it can still be used."""
        return self.borg.poll() is None

    def feed(self, stream: Stream, progress: Callable[[int], None]) -> tuple[Ended, bytes]:
        """Hand over the stream, follow it to its end, give the verdict; returns how it went and what Borg printed.

        Raises:
            ConnectionCut: nothing moved any more.
            SourceFailed: the stream was not whole; nothing is kept.
        """
        with suppress(ConnectionError):
            socket.send_fds(self._control, [b"fd"], [stream.fileno()])
        if self._hold is not None:
            self._hold.next()
        ended = self._follow(stream, progress)
        ready, _, _ = select.select([self._stdout], [], [], STALL_SECONDS)
        printed = self._stdout.read() if ready else b""
        with suppress(Exception):
            self.borg.wait(_END_SECONDS)
        return ended, printed

    def close(self) -> None:
        """End it, whatever it is doing; without a verdict nothing is kept."""
        self._control.close()  # first, so that a gate without a verdict ends by itself
        process.stop(self.borg)
        if self._hold is not None:
            self._hold.close()

    def _follow(self, stream: Stream, progress: Callable[[int], None]) -> Ended:
        self._control.settimeout(STALL_SECONDS)
        began = False
        with suppress(ConnectionError):
            while True:
                try:
                    report = self._control.recv(256)
                except TimeoutError:
                    raise ConnectionCut(f"nothing moved for {STALL_SECONDS:.0f} s") from None
                if not report:  # Borg and the gate are gone
                    break
                began = True
                count, _, digest = report.decode().partition(" ")
                progress(int(count))
                if digest:
                    stream.finish()
                    self._control.send(gate.SEAL)
                    return Ended(int(count), digest, began=True)
        return Ended(0, "", began)
