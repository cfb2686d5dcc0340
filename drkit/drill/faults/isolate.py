"""``isolate``: a node and its peers do not reach each other, nor do their pods. The outside still reaches it.

A node that reboots meanwhile is not isolated any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import nft

if TYPE_CHECKING:
    from collections.abc import Sequence


class Isolate(nft.Dropping):
    """Options: ``peers``, the other nodes' addresses and the ranges of their pods."""

    disturbs_hosts: ClassVar[bool] = True

    def rules(self) -> tuple[Sequence[str], Sequence[str]]:
        """See ``Dropping``."""
        peers = [str(each) for each in self.options.get("peers", ())]
        return nft.matches("saddr", peers), nft.matches("daddr", peers)
