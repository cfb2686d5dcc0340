"""``block-client``: one node, a client of the API, does not reach one of its servers; others do.

Whether its own proxy finds another server is what the drill sees. A node that reboots meanwhile reaches it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.faults import nft
from drkit.drill.faults.places import split

if TYPE_CHECKING:
    from collections.abc import Sequence


class BlockClient(nft.Dropping):
    """Options: ``server``, the one (``10.0.0.2:6443``)."""

    def rules(self) -> tuple[Sequence[str], Sequence[str]]:
        """See ``Dropping``."""
        host, port = split(str(self.options.get("server", "")))
        incoming = [f"{each} tcp sport {port}" for each in nft.matches("saddr", [host])]
        return incoming, [f"{each} tcp dport {port}" for each in nft.matches("daddr", [host])]
