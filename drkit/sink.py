"""A program at the far end of a stream."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING

from drkit import process
from drkit.errors import RestoreFailed
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Sink:
    """A program that reads an archive on its stdin."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], descriptors: Sequence[int] = (), *, output: bool = False
    ) -> None:
        self._program = Path(argv[0]).name
        self.child = process.spawn(
            argv,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if output else subprocess.DEVNULL,
            pass_fds=descriptors,
        )
        assert self.child.stdin is not None  # noqa: S101 - opened above
        assert self.child.stderr is not None  # noqa: S101 - spawn's default is a pipe
        self._stdin: IO[bytes] = self.child.stdin
        gate.widen(self._stdin.fileno())
        self._last_words = process.TailReader(self.child.stderr)

    def write(self, block: bytes) -> None:
        """Feed it.

        Raises:
            RestoreFailed: it is gone.
        """
        try:
            gate.write_all(self._stdin.fileno(), memoryview(block))
        except BrokenPipeError:
            raise self._failed() from None

    def offer(self, block: bytes) -> bool:
        """Feed it, if it wants more; false where it has read what it needs and ended well.

        Raises:
            RestoreFailed: it ended otherwise.
        """
        try:
            gate.write_all(self._stdin.fileno(), memoryview(block))
        except BrokenPipeError:
            if self.child.wait() != 0:
                raise self._failed() from None
            return False
        return True

    def finish(self) -> None:
        """End its input and see that it ended well.

        Raises:
            RestoreFailed: it did not.
        """
        self._stdin.close()
        if self.child.wait() != 0:
            raise self._failed()

    def output(self) -> IO[bytes]:
        """What it prints, through a descriptor of the caller's own, which ``stop`` does not close."""
        assert self.child.stdout is not None  # noqa: S101 - opened with output
        gate.widen(self.child.stdout.fileno())
        return os.fdopen(os.dup(self.child.stdout.fileno()), "rb", buffering=0)

    def _failed(self) -> RestoreFailed:
        status = self.child.wait()
        return RestoreFailed(f"{self._program} ended with status {status}\n{process.tail(self._last_words.text())}")

    def stop(self) -> None:
        """End it in any case."""
        process.stop(self.child)
