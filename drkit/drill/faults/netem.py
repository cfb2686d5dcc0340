"""Packets made late, or lost, by the kernel's netem, which many kernels lack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drkit.drill.faults import armed

if TYPE_CHECKING:
    from drkit.cluster.node import Node
    from drkit.drill.faults.armed import Armed
    from drkit.drill.faults.slowness import Slowness

HANDLE = "d217:"
"""Of the queueing disciplines that are drkit's: whoever cleans knows them by it."""
# In a network namespace of its own, which goes with the program.
_HAS_NETEM = "unshare --net tc qdisc add dev lo root netem delay 1ms 2>/dev/null && echo yes; exit 0"
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


def has_netem(node: Node) -> bool:
    """Whether a node's kernel has it: found out by trying."""
    return armed.ask(node, _HAS_NETEM) == "yes"


class Netem:
    """See ``Way``."""

    def __init__(self, waiting: Armed, slowness: Slowness) -> None:
        self._armed, self._slowness = waiting, slowness

    def impossible(self) -> str:
        """See ``Way.impossible``."""
        others = armed.ask(self._armed.node, _OTHERS, *self._devices())
        return f"it shapes its traffic already, which would be lost: {others}" if others else ""

    def undoing(self) -> str:
        """See ``Way.undoing``."""
        return _FAST.format(devices=" ".join(self._devices()))

    def inject(self) -> str:
        """See ``Way.inject``."""
        networks = self._slowness.networks
        known = f'devices="{" ".join(self._devices())}" peers="{" ".join(networks)}"\n'
        self._armed.act(known + (_SLOW_SOME if networks else _SLOW_ALL), *self._words())
        return f"netem {' '.join(self._words())}"

    def packets(self) -> int:
        """See ``Way.packets``."""
        return sum(_through_netem(armed.ask(self._armed.node, _SEEN, each)) for each in self._devices())

    def _devices(self) -> list[str]:
        return self._slowness.devices(self._armed.node)

    def _words(self) -> list[str]:
        """The words for netem (tc-netem(8))."""
        known = self._slowness
        words = ["delay", f"{known.delay * 1000:g}ms", *([f"{known.jitter * 1000:g}ms"] if known.jitter else [])]
        lost = ["loss", f"{known.loss_percent:g}%"] if known.loss_percent else []
        return [*(words if known.delay else []), *lost]


def _through_netem(statistics: str) -> int:
    """How many packets a device's netem has let go (``tc -statistics -json``)."""
    return sum(each["packets"] for each in json.loads(statistics or "[]") if each.get("kind") == "netem")
