"""The API of a cluster that only SSH leads to: through one of its servers, with the kubeconfig that k3s wrote there."""

from __future__ import annotations

import atexit
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.clock import SystemClock
from drkit.cluster import kubeconfig
from drkit.cluster.api import HttpApi
from drkit.cluster.k3s import API_PORT, KUBECONFIG
from drkit.cluster.reach import answers
from drkit.cluster.transport import LARGEST_BYTES, POLITE, Transport
from drkit.errors import ConfigurationError, KubeUnreachable, SourceFailed
from drkit.process import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.cluster.node import Node
    from drkit.cluster.transport import Answer, Connection, Limits


class Tunnel:
    """Requests to the API through SSH; see ``Transport``, whose every method it has. Safe to use from several threads.

    The way is made at the first request, through the first server that lets drkit in, and made anew where it was cut.
    What proves who the administrator is stays in memory.

    Args:
        servers: those of the cluster.
        limits: how much is asked of the API.
    """

    def __init__(self, servers: Sequence[Node], limits: Limits = POLITE) -> None:
        self._servers, self.limits = servers, limits
        self._lock = threading.Lock()
        self._cleanup = ExitStack()
        self._made: tuple[Transport, tuple[str, int]] | None = None
        """What asks, and the end of the way on this machine."""

    @property
    def server(self) -> str:
        """Where it is, for messages."""
        return f"port {API_PORT} of {' or '.join(node.name for node in self._servers)}, through SSH"

    def connection(self) -> Connection:
        """See ``Transport.connection``. Raises ``KubeUnreachable`` where no server leads to it."""
        self._see_way()
        return self._transport().connection()

    def close(self) -> None:
        """End the way."""
        with self._lock:
            self._forget()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        largest: int = LARGEST_BYTES,
        patient: bool = True,
    ) -> Answer:
        """See ``Transport.request``; what was cut off with the way is asked once more."""
        made = self._transport()
        try:
            return made.request(method, path, headers=headers, body=body, largest=largest, patient=patient)
        except KubeUnreachable:
            self._see_way()
            again = self._transport()
            if again is made:
                raise
            return again.request(method, path, headers=headers, body=body, largest=largest, patient=patient)

    def _see_way(self) -> None:
        """Forget a way that leads nowhere any more."""
        made = self._made
        if made is not None and not answers(*made[1]):
            with self._lock:
                if self._made is made:
                    self._forget()

    def _forget(self) -> None:
        self._made = None
        self._cleanup.close()

    def _transport(self) -> Transport:
        with self._lock:
            if self._made is None:
                self._made = self._open()
            return self._made[0]

    def _open(self) -> tuple[Transport, tuple[str, int]]:
        said: list[str] = []
        for node in self._servers:
            try:
                return self._through(node)
            except ConfigurationError as error:
                raise KubeUnreachable(f"{node.name}: {error.message}", error.hint) from None
            except (SourceFailed, DeadlineExceeded) as error:
                said.append(str(error))
        raise KubeUnreachable(
            "\n".join(["no server leads to the cluster's API through SSH:", *said]),
            "see cluster.servers and cluster.ssh: drkit check",
        )

    def _through(self, node: Node) -> tuple[Transport, tuple[str, int]]:
        content = node.read(KUBECONFIG)
        if content is None:
            raise KubeUnreachable(f"{node.name}: {KUBECONFIG} is not there; k3s server writes it when its API answers")
        with ExitStack() as stack:
            host, port = stack.enter_context(node.forward("127.0.0.1", API_PORT))
            access = kubeconfig.parse(Path(KUBECONFIG), content, f"https://{host}:{port}")
            made = Transport(access, SystemClock(), limits=self.limits)
            stack.callback(made.close)
            # Before the connection that it needs is ended, which was made before.
            atexit.register(self.close)
            stack.callback(atexit.unregister, self.close)
            self._cleanup = stack.pop_all()
        return made, (host, port)


def connect(servers: Sequence[Node], limits: Limits = POLITE) -> HttpApi:
    """The API behind these servers. Nothing is connected to yet."""
    return HttpApi(Tunnel(servers, limits))
