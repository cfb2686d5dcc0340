"""``slow-network``: packets that leave a node are late, or lost.

By the kernel's netem, which many kernels lack; loss alone is then done by nftables. A machine that reboots meanwhile
has its network back as it was.
"""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed, nft
from drkit.drill.faults.on_node import NodeFault

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

HANDLE = "d217:"
"""Of the queueing disciplines that are drkit's: whoever cleans knows them by it."""
_BELOW = "d218:"
_ALL, _OF_A_RANDOM = "all", 10_000
# In a network namespace of its own, which goes with the program.
_HAS_NETEM = "unshare --net tc qdisc add dev lo root netem delay 1ms 2>/dev/null && echo yes; exit 0"
_DEVICES = r"""
if [ $# -eq 0 ]; then ip route show default; else for each; do ip route get "$each"; done; fi |
    sed -n 's/.* dev \([^ ]*\).*/\1/p' | sort -u
"""
_OTHERS = """
for each; do tc qdisc show dev "$each" root; done | grep -v -e ' 0: ' -e ' d217: ' | cut -d' ' -f2-5
exit 0
"""
_SLOW_ALL = """
for each in $devices; do
    tc qdisc del dev "$each" root 2>/dev/null
    tc qdisc add dev "$each" root handle d217: netem "$@" || exit 1
done
"""
# Two bands: all goes through the second, and what goes to the peers through the first, which is slow.
_SLOW_SOME = """
for each in $devices; do
    tc qdisc del dev "$each" root 2>/dev/null
    tc qdisc add dev "$each" root handle d217: prio bands 2 priomap 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 &&
        tc qdisc add dev "$each" parent d217:1 handle d218: netem "$@" || exit 1
    for peer in $peers; do
        case $peer in *:*) family=ipv6 match=ip6 order=2 ;; *) family=ip match=ip order=1 ;; esac
        tc filter add dev "$each" parent d217: protocol "$family" prio "$order" \
            u32 match "$match" dst "$peer" flowid d217:1 || exit 1
    done
done
"""
_FAST = """
for each in {devices}; do
    case $(tc qdisc show dev "$each" root 2>/dev/null) in *" d217: "*) tc qdisc del dev "$each" root || return 1 ;; esac
done
"""
_SEEN = 'tc -statistics -json qdisc show dev "$1"'


class SlowNetwork(NodeFault):
    """Options: ``delay`` and ``jitter`` (seconds), ``loss_percent``, ``to`` (``peers`` or ``all``), ``peers``."""

    needs: ClassVar[tuple[str, ...]] = ("tc", "ip", "unshare", "nft")
    undone: ClassVar[str] = "its packets leave at once"
    disturbs_hosts: ClassVar[bool] = True

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._delay = float(self.options.get("delay", 0.0))
        self._jitter = float(self.options.get("jitter", 0.0))
        self._loss = float(self.options.get("loss_percent", 0.0))
        self._peers = [] if self.options.get("to") == _ALL else [str(each) for each in self.options.get("peers", ())]
        self._to_all = self.options.get("to") == _ALL

    @property
    def _table(self) -> str:
        return nft.table_of(self.armed.name)

    def impossible(self) -> str:
        """See ``NodeFault``."""
        try:
            for each in self._peers:
                ipaddress.ip_network(each, strict=False)
        except ValueError as error:
            return str(error)
        if not self._peers and not self._to_all:
            return "it has no peers"
        if self._has_netem():
            others = armed.ask(self.node, _OTHERS, *self._devices())
            return f"it shapes its traffic already, which would be lost: {others}" if others else ""
        if self._delay or self._jitter:
            return "its kernel has no netem, which makes packets late"
        done = armed.run(self.node, "nft --check --file -", stdin=self._losing().encode())
        return "" if done.status == 0 else f"its nftables cannot do it: {done.stderr.strip()}"

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return _FAST.format(devices=" ".join(self._devices())) + nft.REMOVE.format(table=self._table)

    def inject(self) -> str:
        """See ``Fault.inject``."""
        if not self._has_netem():
            self.armed.act("nft --file -", stdin=self._losing().encode())
            return f"{self._loss:g} % of what {self.target} sends are dropped by nftables"
        networks = [str(ipaddress.ip_network(each, strict=False)) for each in self._peers]
        known = f'devices="{" ".join(self._devices())}" peers="{" ".join(networks)}"\n'
        self.armed.act(known + (_SLOW_ALL if self._to_all else _SLOW_SOME), *self._netem())
        return f"netem {' '.join(self._netem())}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: packets were lost, or went through the slow queue."""
        done = armed.run(self.node, nft.COUNTED, self._table)
        lost = nft.counted(done.stdout) if done.status == 0 else 0
        if lost:
            return f"{self.target} has dropped {lost} packets"
        slowed = sum(_through_netem(armed.ask(self.node, _SEEN, each)) for each in self._devices())
        return f"{slowed} packets of {self.target} went through the slow queue" if slowed else ""

    def _has_netem(self) -> bool:
        return armed.ask(self.node, _HAS_NETEM) == "yes"

    def _devices(self) -> list[str]:
        """Those that lead to the peers, or to everybody."""
        # A range of pods may lead over a tunnel, which itself goes to a peer's address: packets are slowed once.
        single = [each for each in self._peers if "/" not in each]
        return armed.ask(self.node, _DEVICES, *single).split()

    def _netem(self) -> list[str]:
        """The words for netem (tc-netem(8))."""
        words = ["delay", f"{self._delay * 1000:g}ms", *([f"{self._jitter * 1000:g}ms"] if self._jitter else [])]
        return [*(words if self._delay else []), *(["loss", f"{self._loss:g}%"] if self._loss else [])]

    def _losing(self) -> str:
        """The table that loses packets where there is no netem."""
        # nftables refuses to ask what is always so.
        of = round(self._loss * _OF_A_RANDOM / 100)
        some = f" numgen random mod {_OF_A_RANDOM} < {max(1, of)}" if of < _OF_A_RANDOM else ""
        to = ['oifname != "lo"'] if self._to_all else nft.matches("daddr", self._peers)
        return nft.ruleset(self._table, (), [f"{each}{some}" for each in to], spare=None)


def _through_netem(statistics: str) -> int:
    """How many packets a device's netem has let go (``tc -statistics -json``)."""
    return sum(each["packets"] for each in json.loads(statistics or "[]") if each.get("kind") == "netem")
