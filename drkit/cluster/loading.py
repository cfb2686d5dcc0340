"""pg_restore in a pod: fed through the API, with its last words told in band.

The input of a program in a container stays open until drkit closes it, and its end means that drkit has gone: whatever
runs there ends then (``drkit.cluster.pod_watch``). So pg_restore is handed as many bytes as were said before, and how
it ended comes behind its output, between two markers. What else comes in is thrown away: a program that ended in
mid-input would have the connection cut under who writes to it, and its last words lost.
"""

from __future__ import annotations

import os
import secrets
import select
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster.pod_watch import watched
from drkit.errors import RestoreFailed, SourceFailed
from drkit.postgres.sections import DEFINITIONS, LATER, ROWS, remaining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from drkit.cluster.kube import Execution

_BLOCK = 64 * 1024
_FED = """size=$1 marker=$2; shift 2
said=$(head -c "$size" | "$@" 2>&1 >/dev/null); status=$?
printf '%s%s\\n%s%s' "$marker" "$status" "$said" "$marker"
exec cat >/dev/null
"""
# The files have lost their names before there is anything in them: however this ends, nothing of them stays.
_WITH_FILES = """first=$1 second=$2 marker=$3 place=$4; shift 4
umask 077
file=$(mktemp "$place/drkit.XXXXXX") && exec 5>"$file" 6<"$file" && rm "$file" || exit 1
file=$(mktemp "$place/drkit.XXXXXX") && exec 7>"$file" 8<"$file" && rm "$file" || exit 1
head -c "$first" >&5 && head -c "$second" >&7 || exit 1
exec 5>&- 7>&-
{ said=$("$@" 2>&1 >&9 </dev/null); status=$?; } 9>&1
printf '%s%s\\n%s%s' "$marker" "$status" "$said" "$marker"
exec cat >/dev/null
"""
FIRST, SECOND = "/proc/self/fd/6", "/proc/self/fd/8"


class Fed:
    """A program in a pod that takes an archive; see the module."""

    def __init__(self, running: Execution, marker: str, what: str, cleanup: ExitStack) -> None:
        self._running, self._marker, self._what = running, marker.encode(), what
        self._cleanup = cleanup
        self._output = b""
        self.printed = b""
        """Its output; there once it has finished."""
        self._poll = select.poll()
        self._poll.register(running.fileno(), select.POLLIN)

    def write(self, block: bytes) -> None:
        """Feed it.

        Raises:
            RestoreFailed: it has ended, and not well, or the connection was cut.
        """
        self.offer(block)

    def offer(self, block: bytes) -> bool:
        """Feed it, if it wants more; false where it has read what it needs and ended well.

        Raises:
            RestoreFailed: as for ``write``.
        """
        if self._has_ended(wait=False):
            self.finish()
            return False
        try:
            self._running.write(block)
        except SourceFailed:
            self.finish()  # it may have said its last words before
            return False
        return True

    def finish(self) -> None:
        """See that it ended well.

        Raises:
            RestoreFailed: it did not.
        """
        self._has_ended(wait=True)
        self.printed, ending, _ = self._output.split(self._marker)
        status, _, said = ending.decode(errors="replace").partition("\n")
        if status != "0":
            raise RestoreFailed(f"{self._what} ended with status {status}\n{process.tail(said)}")

    def stop(self) -> None:
        """End it in any case."""
        self._cleanup.close()

    def _has_ended(self, *, wait: bool) -> bool:
        while self._output.count(self._marker) < 2:  # noqa: PLR2004 - one before its last words, one behind
            if not self._poll.poll(None if wait else 0):
                return False
            block = os.read(self._running.fileno(), _BLOCK)
            if not block:
                try:
                    self._running.finish()
                except SourceFailed as error:
                    raise _told(error) from None
                # The shell around it ends well only behind its last words, or where its input ended before that.
                raise RestoreFailed(f"{self._what} ended, and nobody said how", passes=True)
            self._output += block
        return True


class InPodSections:
    """The ``Sections`` of a database by the programs in its server's pod.

    Args:
        start: runs a program in the pod, fed, whose input's end ends it.
        program: pg_restore with what it needs to connect.
        what: for messages.
        place: a directory in the pod that PostgreSQL's user can write to.
        size: how many bytes the archive has.
        jobs: how many things are done at a time once the rows are there.
    """

    def __init__(
        self,
        start: Callable[[Sequence[str]], AbstractContextManager[Execution]],
        program: Sequence[str],
        what: str,
        place: str,
        size: int,
        jobs: int,
    ) -> None:
        self._start, self._program, self._what = start, list(program), what
        self._place, self._size, self._jobs = place, size, jobs

    def whole(self) -> Fed:
        """Load everything in one transaction."""
        return self._fed(["--single-transaction"])

    def definitions(self) -> Fed:
        """Make the tables."""
        return self._fed(DEFINITIONS)

    def rows(self) -> Fed:
        """Load the rows."""
        return self._fed(ROWS)

    def later(self, head: bytes) -> None:
        """Indexes, constraints, triggers and privileges; pg_restore keeps to their order, several at a time."""
        wanted = remaining(self._listed(head, LATER), self._listed(head, []))
        if wanted:
            extra = [f"--jobs={self._jobs}", f"--use-list={SECOND}", FIRST]
            self._with_files(head, "\n".join(wanted).encode(), [*self._program, *extra])

    def _listed(self, head: bytes, extra: Sequence[str]) -> list[str]:
        said = self._with_files(head, b"", ["pg_restore", "--list", *extra, FIRST])
        return said.decode(errors="replace").splitlines()

    def _fed(self, extra: Sequence[str]) -> Fed:
        return self._run(_FED, [str(self._size)], [], [*self._program, *extra])

    def _with_files(self, first: bytes, second: bytes, program: Sequence[str]) -> bytes:
        fed = self._run(_WITH_FILES, [str(len(first)), str(len(second))], [self._place], program)
        try:
            fed.write(first + second)
            fed.finish()
            return fed.printed
        finally:
            fed.stop()

    def _run(self, script: str, sizes: Sequence[str], more: Sequence[str], program: Sequence[str]) -> Fed:
        marker = secrets.token_hex(16)
        argv = watched(["sh", "-c", script, "fed", *sizes, marker, *more, *program])
        with ExitStack() as stack:
            try:
                running = stack.enter_context(self._start(argv))
            except SourceFailed as error:
                raise _told(error) from None
            return Fed(running, marker, self._what, stack.pop_all())


def _told(error: SourceFailed) -> RestoreFailed:
    return RestoreFailed(error.message, error.hint, passes=error.passes)


@contextmanager
def stopped(fed: Fed) -> Iterator[Fed]:
    """For the time of the body."""
    try:
        yield fed
    finally:
        fed.stop()


def free_bytes(df: str) -> int | None:
    """What ``df -Pk`` says is left; nothing where that is not to be understood. Pure."""
    fields = df.strip().rpartition("\n")[2].split()
    # "Filesystem 1024-blocks Used Available Capacity Mounted on" (POSIX, df); only the last may have spaces in it.
    available = fields[3] if len(fields) > 3 else ""  # noqa: PLR2004 - see above
    return int(available) * 1024 if available.isdecimal() else None
