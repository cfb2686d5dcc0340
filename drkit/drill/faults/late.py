"""Packets made late, or lost, by a program of drkit's own, for kernels without netem.

The kernel redirects what leaves by a device into a tap device, behind which the program holds it back
(``late_program.py``). That is good for some ten thousand packets a second. Whenever the program ends, packets leave by
their device again: systemd sees to it. A machine that reboots meanwhile has its network as it was.
"""

from __future__ import annotations

import json
import shlex
from importlib import resources
from typing import TYPE_CHECKING

from drkit.drill.faults import armed

if TYPE_CHECKING:
    from drkit.drill.faults.armed import Armed
    from drkit.drill.faults.slowness import Slowness

_TAP = "drkit-late{}"
# In a network namespace of its own, which goes with the program.
_LOOK = """
unshare --net sh -c '
    ip tuntap add dev drkit-late mode tap && tc qdisc add dev lo clsact &&
    tc filter add dev lo egress protocol ip prio 1 u32 match ip dst 192.0.2.1/32 \
        action mirred egress redirect dev drkit-late
' 2>/dev/null || echo "and cannot redirect packets to a program either (tun, clsact, u32, mirred)"
command -v python3 >/dev/null || echo "and there is no program python3, which would do it in its stead"
for each; do tc qdisc show dev "$each"; done | grep -q -e ' clsact ' -e ' ingress ' &&
    echo "and others direct its packets already (clsact)"
exit 0
"""
_RUN = """
cat >late.py
tc=$(command -v tc)
systemd-run --unit {unit} --description "drkit drill: holds packets back" --quiet --collect --service-type=notify \
    --property=KillSignal=SIGKILL {after} python3 "$PWD/late.py" {numbers} {names} || exit 1
"""
_AFTER = '--property="ExecStopPost=-$tc qdisc del dev {device} clsact"'
_REDIRECT = """
ip link set dev {tap} up txqueuelen 10000 arp off addrgenmode none && tc qdisc add dev {device} clsact || exit 1
"""
_FILTER = """
tc filter add dev {device} egress protocol {protocol} prio {order} u32 match {match} \
    action mirred egress redirect dev {tap} || exit 1
"""
_EVERYTHING = ("all", 1, "u32 0 0")
_SEEN = 'ip -statistics -json link show dev "$1" 2>/dev/null; exit 0'


class Late:
    """See ``Way``."""

    def __init__(self, waiting: Armed, slowness: Slowness) -> None:
        self._armed, self._slowness = waiting, slowness
        self._unit = f"{waiting.unit}{armed.HOLDER}"

    def impossible(self) -> str:
        """See ``Way.impossible``."""
        lacks = armed.ask(self._armed.node, _LOOK, *self._devices()).splitlines()
        return " ".join(["its kernel has no netem, which makes packets late,", *lacks]) if lacks else ""

    def undoing(self) -> str:
        """See ``Way.undoing``."""
        return armed.END.format(unit=self._unit)

    def inject(self) -> str:
        """See ``Way.inject``."""
        program = resources.files(__package__).joinpath("late_program.py").read_bytes()
        self._armed.act(self._script(), stdin=program)
        known = self._slowness
        said = f"{known.delay * 1000:g} ms ± {known.jitter * 1000:g} ms late, {known.loss_percent:g} % lost"
        return f"{said}, by a program in user space: the kernel of {self._armed.node.name} has no netem"

    def packets(self) -> int:
        """See ``Way.packets``."""
        found = [armed.ask(self._armed.node, _SEEN, _TAP.format(number)) for number, _ in enumerate(self._devices())]
        return sum(each["stats64"]["tx"]["packets"] for said in found for each in json.loads(said or "[]"))

    def _devices(self) -> list[str]:
        return self._slowness.devices(self._armed.node)

    def _script(self) -> str:
        """What does it, as the text of a shell script; the program is its input."""
        known, pairs = self._slowness, [(each, _TAP.format(number)) for number, each in enumerate(self._devices())]
        text = _RUN.format(
            unit=self._unit,
            after=" ".join(_AFTER.format(device=device) for device, _ in pairs),
            numbers=f"{known.delay:g} {known.jitter:g} {known.loss_percent:g}",
            names=shlex.join(name for pair in pairs for name in pair),
        )
        for device, tap in pairs:
            text += _REDIRECT.format(device=device, tap=tap)
            for protocol, order, match in self._matches():
                text += _FILTER.format(device=device, tap=tap, protocol=protocol, order=order, match=match)
        return text

    def _matches(self) -> list[tuple[str, int, str]]:
        """For each filter: its protocol, its place (one for each protocol), what it matches (tc-u32(8))."""
        if not self._slowness.networks:
            return [_EVERYTHING]
        return [
            ("ipv6", 2, f"ip6 dst {each}") if ":" in each else ("ip", 1, f"ip dst {each}")
            for each in self._slowness.networks
        ]
