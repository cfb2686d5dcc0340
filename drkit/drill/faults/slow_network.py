"""``slow-network``: packets that leave a node are late, or lost.

By the kernel's netem, which many kernels lack. Loss alone is then done by nftables, and lateness by a program of
drkit's own. A machine that reboots meanwhile has its network back as it was.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed, nft
from drkit.drill.faults.late import Late
from drkit.drill.faults.netem import Netem, has_netem
from drkit.drill.faults.on_node import NodeFault
from drkit.drill.faults.slowness import Slowness

if TYPE_CHECKING:
    from drkit.drill.faults.armed import Armed
    from drkit.drill.faults.slowness import Way

_OF_A_RANDOM = 10_000


class SlowNetwork(NodeFault):
    """Options: ``delay`` and ``jitter`` (seconds), ``loss_percent``, ``to`` (``peers`` or ``all``), ``peers``."""

    needs: ClassVar[tuple[str, ...]] = ("tc", "ip", "unshare", "nft")
    undone: ClassVar[str] = "its packets leave at once"
    disturbs_hosts: ClassVar[bool] = True

    def impossible(self) -> str:
        """See ``NodeFault``."""
        try:
            return self._way.impossible()
        except ValueError as error:
            return str(error)

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return self._way.undoing()

    def inject(self) -> str:
        """See ``Fault.inject``."""
        return self._way.inject()

    def confirm(self) -> str:
        """See ``Fault.confirm``: packets were held back, or lost."""
        packets = self._way.packets()
        return f"{self.target} has lost or held back {packets} packets" if packets else ""

    @cached_property
    def _way(self) -> Way:
        """The best that the node's kernel can.

        Raises:
            ValueError: the options make no sense.
        """
        slowness = Slowness.of(self.options)
        if has_netem(self.node):
            return Netem(self.armed, slowness)
        return Late(self.armed, slowness) if slowness.delay else Losing(self.armed, slowness)


class Losing:
    """See ``Way``: packets lost by a table of nftables."""

    def __init__(self, waiting: Armed, slowness: Slowness) -> None:
        self._armed, self._slowness = waiting, slowness
        self._table = nft.table_of(waiting.name)

    def impossible(self) -> str:
        """See ``Way.impossible``."""
        done = armed.run(self._armed.node, "nft --check --file -", stdin=self._text().encode())
        return "" if done.status == 0 else f"its nftables cannot do it: {done.stderr.strip()}"

    def undoing(self) -> str:
        """See ``Way.undoing``."""
        return nft.REMOVE.format(table=self._table)

    def inject(self) -> str:
        """See ``Way.inject``."""
        self._armed.act("nft --file -", stdin=self._text().encode())
        return f"{self._slowness.loss_percent:g} % of what {self._armed.node.name} sends are dropped by nftables"

    def packets(self) -> int:
        """See ``Way.packets``."""
        done = armed.run(self._armed.node, nft.COUNTED, self._table)
        return nft.counted(done.stdout) if done.status == 0 else 0

    def _text(self) -> str:
        # nftables refuses to ask what is always so.
        of = round(self._slowness.loss_percent * _OF_A_RANDOM / 100)
        some = f" numgen random mod {_OF_A_RANDOM} < {max(1, of)}" if of < _OF_A_RANDOM else ""
        networks = self._slowness.networks
        to = nft.matches("daddr", networks) if networks else ['oifname != "lo"']
        return nft.ruleset(self._table, (), [f"{each}{some}" for each in to], spare=None)
