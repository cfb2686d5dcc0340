"""Packets dropped by a table of nftables of drkit's own, which nothing else looks at. The text of tables is pure.

The chains come before the kernel follows connections (priority ``raw``) where packets come in, and after addresses were
translated where they leave: so that connections that stand are cut too, and a service's packets are known by the pod
that they go to. SSH is let through by its port, whoever speaks it: drkit may come by any way.
Source of the hooks' order: netfilter.org, "Netfilter hooks".
"""

from __future__ import annotations

import ipaddress
import json
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TABLE = "drkit_drill_"
"""What the names of tables begin with."""
SSH_PORT = 22
_SSH = """set -- ${SSH_CONNECTION:-}; echo "${4:-22}" """
_CHECK = "nft --check --file -"
_PUT = "nft --file -"
COUNTED = 'nft --json list table inet "$1"'
"""The shell command whose output ``counted`` reads."""
REMOVE = """
nft delete table inet {table} 2>/dev/null && return 0
! nft list table inet {table} >/dev/null 2>&1
"""
"""The body of a shell function that removes a table, and is content where there is none."""


def table_of(name: str) -> str:
    """The name of an undo's table."""
    return TABLE + name.replace("-", "_")


def matches(direction: str, ranges: Iterable[str]) -> list[str]:
    """What matches packets from (``saddr``) or to (``daddr``) these addresses and ranges.

    Raises:
        ValueError: one is no address.
    """
    found: dict[int, list[str]] = {4: [], 6: []}
    for each in ranges:
        network = ipaddress.ip_network(each, strict=False)
        found[network.version].append(str(network))
    families = {4: "ip", 6: "ip6"}
    return [
        f"{families[version]} {direction} {{ {', '.join(sorted(set(listed)))} }}"
        for version, listed in found.items()
        if listed
    ]


def ruleset(table: str, incoming: Sequence[str], leaving: Sequence[str], *, spare: int | None = SSH_PORT) -> str:
    """A table in place of one of its name.

    Args:
        table: its name.
        incoming: what matches packets that come in and are dropped.
        leaving: likewise for those that leave.
        spare: the port of SSH, whose packets are let through; None for none.
    """
    lines = [f"table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]
    spared = [] if spare is None else [f"tcp dport {spare} accept", f"tcp sport {spare} accept"]
    for chain, hook, rules in (("incoming", "prerouting", incoming), ("leaving", "postrouting", leaving)):
        if rules:
            lines.append(f"  chain {chain} {{")
            lines.append(f"    type filter hook {hook} priority {'raw' if hook == 'prerouting' else 'filter'};")
            lines += [f"    {each}" for each in (*spared, *(f"{rule} counter drop" for rule in rules))]
            lines.append("  }")
    return "\n".join([*lines, "}", ""])


def counted(listed: bytes) -> int:
    """How many packets the rules of a table have matched.

    Args:
        listed: what ``nft --json list table`` prints.
    """
    found = json.loads(listed)["nftables"]
    said = [each["rule"]["expr"] for each in found if "rule" in each]
    return sum(one["counter"]["packets"] for rule in said for one in rule if "counter" in one)


class Dropping(NodeFault):
    """A fault that is a table."""

    needs: ClassVar[tuple[str, ...]] = ("nft",)
    undone: ClassVar[str] = "nothing is dropped any more"

    @property
    def table(self) -> str:
        """Its table's name."""
        return table_of(self.armed.name)

    @abstractmethod
    def rules(self) -> tuple[Sequence[str], Sequence[str]]:
        """What matches the packets that are dropped: those that come in, those that leave.

        Raises:
            ValueError: an option is no address.
        """

    def impossible(self) -> str:
        """See ``NodeFault``."""
        try:
            if not any(self.rules()):
                return "there is nobody to keep apart"
            text = self._text()
        except ValueError as error:
            return str(error)
        done = armed.run(self.node, _CHECK, stdin=text.encode())
        return "" if done.status == 0 else f"its nftables cannot do it: {done.stderr.strip()}"

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return REMOVE.format(table=self.table)

    def inject(self) -> str:
        """See ``Fault.inject``."""
        self.armed.act(_PUT, stdin=self._text().encode())
        return f"{self.target} has a table {self.table}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: packets that were on their way were dropped."""
        done = armed.run(self.node, COUNTED, self.table)
        packets = counted(done.stdout) if done.status == 0 else 0
        return f"{self.target} has dropped {packets} packets" if packets else ""

    def _text(self) -> str:
        return ruleset(self.table, *self.rules(), spare=int(armed.ask(self.node, _SSH)))
