"""Ways to what the outside does not reach: through nodes that the faults spare, kept up for as long as is asked."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from drkit.errors import NodeUnreachable, SourceFailed
from drkit.process import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.cluster.node import Node

Address = tuple[str, int]


class _Way:
    def __init__(self, nodes: Sequence[Node], host: str, port: int) -> None:
        self.nodes, self.host, self.port = nodes, host, port
        self.held = ExitStack()
        self.begins: Address | None = None

    def open(self) -> Address:
        """Through the first node that lets drkit in."""
        said: list[str] = []
        for node in self.nodes:
            with ExitStack() as stack:
                try:
                    self.begins = stack.enter_context(node.forward(self.host, self.port))
                except (SourceFailed, DeadlineExceeded) as error:
                    said.append(str(error))
                    continue
                self.held = stack.pop_all()
                return self.begins
        raise NodeUnreachable(
            "\n".join([f"no node leads to {self.host}:{self.port}:", *said]),
            "see cluster.servers and cluster.ssh: drkit check",
        )

    def close(self) -> None:
        self.begins = None
        with suppress(SourceFailed, DeadlineExceeded):  # it is broken, mostly
            self.held.close()


class Ways:
    """Forwarded ports, by a name each. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: dict[str, _Way] = {}

    def open(self, name: str, nodes: Sequence[Node], host: str, port: int) -> None:
        """Open a way; a ``Place`` names it.

        Args:
            name: what it is called.
            nodes: through which of them it may go, the best first.
            host: where to, as these nodes see it.
            port: likewise.

        Raises:
            NodeUnreachable: none of the nodes leads there.
        """
        way = _Way(nodes, host, port)
        way.open()
        with self._lock:
            self._ways[name] = way

    @property
    def now(self) -> dict[str, Address | None]:
        """Where each begins now."""
        with self._lock:
            return {name: way.begins for name, way in self._ways.items()}

    def reopen(self, name: str) -> Address:
        """Open one anew that is broken, and return where it begins. Raises what ``open`` does."""
        with self._lock:
            way = self._ways.get(name)
            if way is None:
                raise NodeUnreachable(f"the way {name} was closed")
            way.close()
            return way.open()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            for way in self._ways.values():
                way.close()
            self._ways.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
