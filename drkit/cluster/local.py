"""A node that is this machine."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import watched
from drkit.errors import NodeUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from drkit.cluster.node import Output
    from drkit.process import Completed


def is_here(address: str) -> bool:
    """Whether ``address``, a name or a number, is one of this machine's own."""
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(_can_listen(family, where) for family, _, _, _, where in found)


def _can_listen(family: int, where: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(where)  # port 0: any that is free
    except OSError:
        return False
    return True


class LocalNode:
    """This machine, called ``name`` by the cluster."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _start(self, argv: Sequence[str], size: int, deadline: float | None) -> watched.Running:
        # The kernel kills what drkit itself starts when drkit dies: ``setsid`` alone, so that the watcher can clean up.
        command = ["setsid", "--fork", "--wait", *watched.command(argv, size=size, deadline=deadline)]
        child = process.spawn(command, env=process.clean_environment(), stdin=subprocess.PIPE)
        return watched.Running(child, f"{self.name}: {argv[0]}", self._lost)

    def _lost(self, said: str) -> NodeUnreachable:
        return NodeUnreachable(f"{self.name}: a program's end was not seen\n{process.tail(said)}")

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
        return watched.read(self, path)

    def write(self, path: str, content: bytes, *, mode: int) -> None:
        """See ``Node.write``."""
        watched.write(self, path, content, mode)

    def send(self, path: str, blocks: Iterable[bytes], *, size: int, sha256: str, mode: int) -> None:
        """See ``Node.send``."""
        running = self._start(watched.start_send(path, size, sha256, mode), size, None)
        watched.finish_send(running, f"{self.name}: {path}", blocks, size)

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """See ``Node.forward``."""
        yield host, port
