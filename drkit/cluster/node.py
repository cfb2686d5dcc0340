"""The port: a host where k3s runs, or this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from drkit.process import Completed


LARGEST_FILE_BYTES = 4 * 1024 * 1024
"""What ``Node.read`` takes; configuration files and keys have some kilobytes."""
GRACE_SECONDS = 60
"""How long a program on a node may clean up after drkit has gone away."""


class Output(Protocol):
    """A program on a node whose output is on its way; a ``drkit.vault.port.Stream``."""

    def fileno(self) -> int:
        """The descriptor to read from, to its end."""
        ...

    def finish(self) -> None:
        """See that the program ended well, and that all of its output came.

        Raises:
            SourceFailed: it did not; its last words are in the message.
        """
        ...

    def end(self) -> None:
        """End the program, there as well as here: its output ends too. Leaving ``open``'s body does it."""
        ...


class Node(Protocol):
    """A host: commands are argument lists, never shell text, and reach the node with exactly these arguments.

    Programs there run with low priority, and end when drkit does, however drkit ends: they get a SIGTERM, and after
    ``GRACE_SECONDS`` a SIGKILL.
    """

    @property
    def name(self) -> str:
        """What the cluster calls it."""
        ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float) -> Completed:
        """Run a program to its end and return how it ended, whatever its status.

        Args:
            argv: the program and its arguments; never a secret.
            stdin: what to feed it.
            deadline: seconds after which it is killed, there as well as here.

        Raises:
            NodeUnreachable: the node does not answer, refused the key, or has an unknown or changed host key.
            DeadlineExceeded: it did not end in time.
        """
        ...

    def open(self, argv: Sequence[str]) -> AbstractContextManager[Output]:
        """Start a program and read what it prints. Leaving the body ends it, there as well as here.

        Raises what ``run`` does.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """A small file's content; nothing where there is none. Raises what ``run`` does.

        Raises:
            SourceFailed: it may not be read, or has more than ``LARGEST_FILE_BYTES``.
        """
        ...

    def write(self, path: str, content: bytes, *, mode: int) -> None:
        """Put a file in place, whole or not at all, with this mode. Raises what ``run`` does.

        Raises:
            SourceFailed: it cannot be written.
        """
        ...

    def send(self, path: str, blocks: Iterable[bytes], *, size: int, sha256: str, mode: int) -> None:
        """Stream a file of any size into place, whole or not at all, with this mode. Raises what ``run`` does.

        What ``blocks`` raises is raised, and leaves nothing there. Its bytes are at no time all in memory.

        Args:
            path: where it goes.
            blocks: its content.
            size: how many bytes that is.
            sha256: what its content must be, computed there from what the disk took; in hexadecimal digits.
            mode: permission bits.

        Raises:
            SourceFailed: it cannot be written, or came as another one.
        """
        ...

    def forward(self, host: str, port: int) -> AbstractContextManager[tuple[str, int]]:
        """A way to a TCP port that the node reaches: an address and a port of this machine, for the time of the body.

        Raises what ``run`` does.
        """
        ...
