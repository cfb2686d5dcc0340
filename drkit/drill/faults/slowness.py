"""What becomes of packets that leave a node, and how each of the ways that do it to them looks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drkit.drill.faults import armed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    from drkit.cluster.node import Node

_ALL = "all"
_DEVICES = r"""
if [ $# -eq 0 ]; then ip route show default; else for each; do ip route get "$each"; done; fi |
    sed -n 's/.* dev \([^ ]*\).*/\1/p' | sort -u
"""


@dataclass(frozen=True)
class Slowness:
    """What becomes of packets.

    Attributes:
        delay: seconds that each waits.
        jitter: by how many that varies, to either side.
        loss_percent: how many of a hundred are dropped.
        networks: whose packets: addresses and ranges; empty for all packets, whoever gets them.
    """

    delay: float
    jitter: float
    loss_percent: float
    networks: tuple[str, ...]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """What a fault's options say.

        Raises:
            ValueError: one is no address, or there is none.
        """
        peers = [str(ipaddress.ip_network(each, strict=False)) for each in options.get("peers", ())]
        to_all = options.get("to") == _ALL
        if not peers and not to_all:
            raise ValueError("it has no peers")
        return cls(
            float(options.get("delay", 0.0)),
            float(options.get("jitter", 0.0)),
            float(options.get("loss_percent", 0.0)),
            () if to_all else tuple(peers),
        )

    def devices(self, node: Node) -> list[str]:
        """The devices of a node that lead to the peers, or to everybody."""
        parsed = [ipaddress.ip_network(each) for each in self.networks]
        # A range of pods may lead over a tunnel, which itself goes to a peer's address: packets are slowed once.
        single = [str(each.network_address) for each in parsed if each.num_addresses == 1]
        return armed.ask(node, _DEVICES, *single).split()


class Way(Protocol):
    """One way to do it to a node's packets."""

    def impossible(self) -> str:
        """Why the node cannot do it; empty where it can. Changes nothing."""

    def undoing(self) -> str:
        """The shell commands that undo it; see ``Armed.place``."""

    def inject(self) -> str:
        """Do it, and say how."""

    def packets(self) -> int:
        """How many packets it has met so far; 0 where it was not done."""
