"""``isolate-from-api``: a node and its pods reach no API server, and no API server its kubelet; all else goes on.

A node that reboots meanwhile is not isolated any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed, nft
from drkit.drill.faults.places import split

if TYPE_CHECKING:
    from collections.abc import Sequence

KUBELET_PORT = 10250
_OWN = "ip -o addr show | sed -n 's/.* inet6\\{0,1\\} \\([^/ ]*\\).*/\\1/p'"


class IsolateFromApi(nft.Dropping):
    """Options: ``servers``, where the API is served (``10.0.0.2:6443``)."""

    needs: ClassVar[tuple[str, ...]] = ("nft", "ip")

    def impossible(self) -> str:
        """See ``NodeFault``: what runs an API server cannot be kept apart from it."""
        own = set(armed.ask(self.node, _OWN).split())
        try:
            served_here = own & {host for host, _ in self._servers()}
        except ValueError as error:
            return str(error)
        return "it runs an API server itself" if served_here else super().impossible()

    def rules(self) -> tuple[Sequence[str], Sequence[str]]:
        """See ``Dropping``."""
        incoming, leaving = [], []
        for host, port in self._servers():
            incoming += [f"{each} tcp sport {port}" for each in nft.matches("saddr", [host])]
            incoming += [f"{each} tcp dport {KUBELET_PORT}" for each in nft.matches("saddr", [host])]
            leaving += [f"{each} tcp dport {port}" for each in nft.matches("daddr", [host])]
        return incoming, leaving

    def _servers(self) -> list[tuple[str, int]]:
        return [split(str(each)) for each in self.options.get("servers", ())]
