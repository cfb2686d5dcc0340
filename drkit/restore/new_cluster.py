"""The API of the cluster that is brought back, as its administrator: what proves who that is stays in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from drkit.cluster.api import connect
from drkit.cluster.k3s import API_PORT
from drkit.cluster.reach import answers
from drkit.cluster.transport import ALONE
from drkit.restore.etcd import machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from drkit.cluster.api import HttpApi
    from drkit.cluster.node import Node
    from drkit.restore.engine.action import Call


class Way(NamedTuple):
    """A server of the cluster, its address as seen from here, and where its kubeconfig is there."""

    node: Node
    address: str
    kubeconfig: str


class NewCluster:
    """Made once for an attempt. Safe to use from several threads.

    The API is reached directly where its port answers, and else through SSH to the first server.

    Args:
        way: to the first server, whose k3s runs when it is asked for.
        stack: ends the ways through SSH.
    """

    def __init__(self, way: Callable[[Call], Way], stack: ExitStack) -> None:
        self._way, self._stack = way, stack
        self._lock = threading.Lock()
        self._api: HttpApi | None = None
        self._through: tuple[str, int] | None = None

    def api(self, call: Call) -> HttpApi:
        """It. Nothing is asked of it yet.

        Raises:
            RestoreFailed: the server has no kubeconfig.
            NodeUnreachable: the server does not answer.
        """
        with self._lock:
            is_cut = self._through is not None and not answers(*self._through)
            if self._api is None or is_cut:
                self._api = self._connected(self._way(call))
            return self._api

    def _connected(self, way: Way) -> HttpApi:
        api, self._through = connected(way, self._stack)
        return api


def connected(way: Way, stack: ExitStack) -> tuple[HttpApi, tuple[str, int] | None]:
    """The API, and host and port here that lead through SSH to it, where it is not reached directly.

    Raises:
        RestoreFailed: the server has no kubeconfig.
        NodeUnreachable: the server does not answer.
    """
    host, port, through = way.address, API_PORT, None
    if not answers(host, port):
        host, port = through = stack.enter_context(way.node.forward("127.0.0.1", API_PORT))
    shown = f"[{host}]" if ":" in host else host
    return connect(machine.access(way.node, way.kubeconfig, f"https://{shown}:{port}"), ALONE), through
