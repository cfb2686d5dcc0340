"""Programs on a node: how they are started there so that they never outlive drkit, and how they are seen to end.

A small shell program runs them. It reads its input to the end, which comes when drkit closes it, or dies, or the
connection breaks; then it ends the program with all that this has started. At the end it says so on stderr: without
these words nobody knows how the program ended. It is plain POSIX but for ``setsid``, which every Linux has; its two
halves and what reads are one process group and tell each other of the end by a signal to all of it, while the program
has a group of its own.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

from drkit import process
from drkit.cluster.node import GRACE_SECONDS
from drkit.errors import SourceFailed
from drkit.process import Completed, DeadlineExceeded
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.errors import NodeUnreachable

LONGEST_SECONDS = 6 * 3600
"""For programs without a deadline of their own, where even the connection's end is never heard of."""
_LARGEST_OUTPUT_BYTES = 64 * 1024 * 1024
"""What ``run`` holds in memory. More is not what was asked for."""
_PATIENCE_SECONDS = 10.0
"""How long to wait for a program that was told to end: it may have something to remove."""
_BLOCK = 256 * 1024
_SAID = re.compile(r"\n?drkit: ended with (\d+)\n?\Z")

_WATCHER = f"""
seconds=$1 bytes=$2
shift 2
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
exec 3<&0 5>&2 2>/dev/null
if command -v nice >/dev/null; then set -- nice -n 10 "$@"; fi
if command -v ionice >/dev/null && ionice -c 2 -n 7 true; then set -- ionice -c 2 -n 7 "$@"; fi
if command -v timeout >/dev/null; then set -- timeout -k {GRACE_SECONDS} "$seconds" "$@"; fi
trap : TERM
{{ echo ready; head -c "$bytes" <&3; exec >/dev/null 5>&-; cat <&3; kill -TERM 0; }} | {{
    gone=
    trap "gone=yes" TERM
    read -r ready
    exec 4<&0 0</dev/null
    setsid "$@" 0<&4 2>&5 3<&- 4<&- 5>&- &
    child=$!
    exec 3<&- 4<&-
    end() {{
        trap "" TERM
        # It is no group yet until setsid has run.
        until kill -TERM -"$child"; do kill -0 "$child" || break; sleep 1; done
        waited=0
        while kill -0 -"$child" && [ "$waited" -lt {GRACE_SECONDS} ]; do sleep 1; waited=$((waited + 1)); done
        kill -KILL -"$child"
        exit 143
    }}
    trap end TERM
    if [ "$gone" ]; then end; fi
    wait "$child"
    status=$?
    trap "" TERM
    kill -TERM 0
    exit "$status"
}}
status=$?
printf "\\ndrkit: ended with %s\\n" "$status" >&5
exit "$status"
"""


def command(argv: Sequence[str], *, size: int = 0, deadline: float | None = None) -> list[str]:
    """The arguments that start ``argv`` under the watcher, which takes ``size`` bytes of its input for the program.

    Raises:
        SourceFailed: an argument that no program can get.
    """
    if any("\0" in argument for argument in argv):
        raise SourceFailed("an argument for a program on a node holds a NUL")
    seconds = LONGEST_SECONDS if deadline is None else round(deadline) + 1
    return ["sh", "-c", _WATCHER, "sh", str(seconds), str(size), *argv]


class Complain(Protocol):
    """Makes the error for a program of which no end was heard."""

    def __call__(self, said: str) -> NodeUnreachable:
        """``said``: what came on stderr."""
        ...


class Running:
    """A program that a watcher runs. Its input stays open until ``close``, which ends it if it still runs.

    Args:
        child: what leads to the watcher, or is it; with pipes for all three streams.
        program: its name for messages.
        complain: see there.
    """

    def __init__(self, child: subprocess.Popen[bytes], program: str, complain: Complain) -> None:
        assert child.stdin is not None  # noqa: S101 - opened by spawn
        assert child.stdout is not None  # noqa: S101 - opened by spawn
        assert child.stderr is not None  # noqa: S101 - opened by spawn
        self._child, self._program, self._complain = child, program, complain
        self._stdin: IO[bytes] = child.stdin
        self._stdout: IO[bytes] = child.stdout
        self._words = process.TailReader(child.stderr)

    def fileno(self) -> int:
        """Its output."""
        return self._stdout.fileno()

    def feed(self, data: bytes) -> None:
        """Give it its input, in the background."""
        # A descriptor of its own: while it writes, ``close`` may close the other.
        descriptor = os.dup(self._stdin.fileno())

        def write() -> None:
            with suppress(BrokenPipeError):  # it ended before it had read all, which it may
                gate.write_all(descriptor, memoryview(data))
            os.close(descriptor)

        threading.Thread(target=write, name=f"feed {self._program}", daemon=True).start()

    def feed_all(self, blocks: Iterable[bytes], size: int) -> None:
        """Give it all of its input as it comes; once it does not read any more, no more is fetched.

        Raises:
            SourceFailed: there were fewer bytes than ``size``, for which it waits.
        """
        fed = 0
        try:
            for block in blocks:
                gate.write_all(self._stdin.fileno(), memoryview(block))
                fed += len(block)
        except BrokenPipeError:
            return  # how it ended says why
        if fed < size:
            raise SourceFailed(f"{self._program}: {size} bytes were promised, and {fed} came")

    def collect(self, deadline: float) -> Completed:
        """Its whole output, and how it ended.

        Raises:
            NodeUnreachable: nobody knows.
            DeadlineExceeded: it did not end within ``deadline`` seconds.
            SourceFailed: it prints without end.
        """
        until = time.monotonic() + deadline
        blocks: list[bytes] = []
        size = 0
        while select.select([self.fileno()], [], [], max(0.0, until - time.monotonic()))[0]:
            block = os.read(self.fileno(), _BLOCK)
            if not block:
                return self._ended(until, b"".join(blocks))
            blocks.append(block)
            size += len(block)
            if size > _LARGEST_OUTPUT_BYTES:
                raise SourceFailed(f"{self._program} printed more than {_LARGEST_OUTPUT_BYTES} bytes")
        raise self._late(deadline)

    def _ended(self, until: float, stdout: bytes) -> Completed:
        try:
            status = self._child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._late(0) from None
        said = self._words.text() + "\n"
        match = _SAID.search(said)
        if match is None:
            raise self._complain(said)
        return Completed(status, stdout, said[: match.start()])

    def _late(self, deadline: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._program} did not end within {deadline:.0f} s and was stopped")

    def finish(self) -> None:
        """See that it ended with status 0.

        Raises:
            NodeUnreachable: nobody knows.
            SourceFailed: it did not; its last words are in the message.
        """
        done = self._ended(time.monotonic() + LONGEST_SECONDS, b"")
        if done.status != 0:
            raise SourceFailed(f"{self._program} ended with status {done.status}\n{process.tail(done.stderr)}")

    def end(self) -> None:
        """End it, there as well as here."""
        with suppress(OSError):
            self._stdin.close()
        # It may be writing what nobody reads any more.
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._child.poll() is None and time.monotonic() < until:
            if select.select([self.fileno()], [], [], 0.05)[0] and not os.read(self.fileno(), _BLOCK):
                with suppress(subprocess.TimeoutExpired):
                    self._child.wait(max(0.0, until - time.monotonic()))
        if self._child.poll() is None:
            self._child.kill()

    def close(self) -> None:
        """End it, and forget it."""
        self.end()
        process.stop(self._child)
