"""A node that is this machine."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import watched
from drkit.cluster.watched_node import WatchedNode
from drkit.errors import NodeUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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


class LocalNode(WatchedNode):
    """This machine, called ``name`` by the cluster."""

    def _start(self, argv: Sequence[str], size: int, deadline: float | None) -> watched.Running:
        # The kernel kills what drkit itself starts when drkit dies: ``setsid`` alone, so that the watcher can clean up.
        command = ["setsid", "--fork", "--wait", *watched.command(argv, size=size, deadline=deadline)]
        child = process.spawn(command, env=process.clean_environment(), stdin=subprocess.PIPE)
        return watched.Running(child, f"{self.name}: {argv[0]}", self._lost)

    def _lost(self, said: str) -> NodeUnreachable:
        return NodeUnreachable(f"{self.name}: a program's end was not seen\n{process.tail(said)}")

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """See ``Node.forward``."""
        yield host, port
