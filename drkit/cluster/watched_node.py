"""What all nodes have in common once a program can be started there under a watcher: see ``watched``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster.node import LARGEST_FILE_BYTES
from drkit.cluster.watched import LONGEST_SECONDS
from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.cluster.node import Output
    from drkit.cluster.watched import Running
    from drkit.process import Completed

_FILE_SECONDS = 60.0
_ABSENT = 3
_INCOMPLETE = 4
_DIFFERENT = 5
_NOT_WHAT_WAS_SENT = {_INCOMPLETE: "came with another size", _DIFFERENT: "came as another file"}
_READ = f'[ -e "$1" ] || [ -L "$1" ] || exit {_ABSENT}; exec head -c {LARGEST_FILE_BYTES + 1} -- "$1"'
# A name that is known before the file is there: a program that is ended between the two leaves nothing. What has this
# name already is of a process that is dead, since its number is this one's; "set -C" follows no link that is put there.
# The signal comes to the whole group, and from timeout once more: what cleans up must not die of the second one. It
# cleans up itself, since it may come when EXIT has begun to: "exit" in there would end the shell before the removal.
_NEW = """umask 077
new=$1.drkit-$$
trap 'trap "" TERM; rm -f "$new"' EXIT
trap 'trap "" TERM; rm -f "$new"; exit 143' TERM
rm -f "$new" && (set -C && : >"$new") || exit 1"""
_WRITE = f"""
{_NEW}
cat >"$new" || exit 1
[ "$(wc -c <"$new")" -eq "$3" ] || exit {_INCOMPLETE}
chmod "$2" "$new" && {{ sync "$new" 2>/dev/null || sync; }} && mv -f "$new" "$1"
"""
_SEND = f"""
{_NEW}
cat >"$new" || exit 1
[ "$(wc -c <"$new")" -eq "$3" ] || exit {_INCOMPLETE}
sum=$(sha256sum <"$new") || exit 1
[ "${{sum%% *}}" = "$4" ] || exit {_DIFFERENT}
chmod "$2" "$new" && {{ sync "$new" 2>/dev/null || sync; }} && mv -f "$new" "$1"
"""


class WatchedNode(ABC):
    """All of a ``Node`` but ``forward``, for whoever can start a program under a watcher.

    Args:
        name: what the cluster calls it.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def _start(self, argv: Sequence[str], size: int, deadline: float | None) -> Running:
        """Start ``watched.command`` of these arguments there.

        Raises:
            NodeUnreachable: the node does not answer, or may not be trusted.
        """

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float) -> Completed:
        """See ``Node.run``."""
        running = self._start(argv, len(stdin), deadline)
        try:
            running.feed(stdin)
            return running.collect(deadline)
        finally:
            running.close()

    @contextmanager
    def open(self, argv: Sequence[str]) -> Iterator[Output]:
        """See ``Node.open``."""
        running = self._start(argv, 0, None)
        try:
            yield running
        finally:
            running.close()

    def read(self, path: str) -> bytes | None:
        """See ``Node.read``."""
        done = self.run(["sh", "-c", _READ, "sh", path], deadline=_FILE_SECONDS)
        if done.status == _ABSENT:
            return None
        if done.status != 0:
            raise SourceFailed(f"{self.name}: {path} cannot be read: {process.tail(done.stderr)}")
        if len(done.stdout) > LARGEST_FILE_BYTES:
            raise SourceFailed(f"{self.name}: {path} has more than {LARGEST_FILE_BYTES} bytes")
        return done.stdout

    def write(self, path: str, content: bytes, *, mode: int) -> None:
        """See ``Node.write``."""
        argv = ["sh", "-c", _WRITE, "sh", path, f"{mode:o}", str(len(content))]
        done = self.run(argv, stdin=content, deadline=_FILE_SECONDS)
        if done.status != 0:
            raise SourceFailed(f"{self.name}: {path} cannot be written: {process.tail(done.stderr)}")

    def send(self, path: str, blocks: Iterable[bytes], *, size: int, sha256: str, mode: int) -> None:
        """See ``Node.send``."""
        running = self._start(["sh", "-c", _SEND, "sh", path, f"{mode:o}", str(size), sha256], size, None)
        try:
            running.feed_all(blocks, size)
            done = running.collect(LONGEST_SECONDS)
        finally:
            running.close()
        if done.status in _NOT_WHAT_WAS_SENT:
            raise SourceFailed(f"{self.name}: {path} {_NOT_WHAT_WAS_SENT[done.status]}", "try again")
        if done.status != 0:
            raise SourceFailed(f"{self.name}: {path} cannot be written: {process.tail(done.stderr)}")
