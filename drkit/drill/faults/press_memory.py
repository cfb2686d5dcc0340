"""``press-memory``: a node's memory is taken, by a program of drkit's own in a unit of its own.

The kernel ends that program before any other where memory runs out altogether: what is drilled is pressure, not the
loss of the node. Nothing is left of it where the node reboots meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

# What is left is the least of what the machine has, and what its own control group may have (containers).
_LEFT = """
left() {
    left=$(awk '$1 == "MemAvailable:" {printf "%.0f", $2 * 1024}' /proc/meminfo)
    for each in "memory.max memory.current inactive_file" \
        "memory/memory.limit_in_bytes memory/memory.usage_in_bytes total_inactive_file"; do
        set -- $each
        limit=$(cat "/sys/fs/cgroup/$1" 2>/dev/null) || continue
        case $limit in *[!0-9]* | ??????????????????*) continue ;; esac
        bounded=yes
        cache=$(awk -v key="$3" '$1 == key {print $2}' "/sys/fs/cgroup/${1%/*}/memory.stat" 2>/dev/null ||
            awk -v key="$3" '$1 == key {print $2}' /sys/fs/cgroup/memory.stat)
        own=$((limit - $(cat "/sys/fs/cgroup/$2") + ${cache:-0}))
        if [ "$own" -lt "$left" ]; then left=$own; fi
    done
    echo "$left"
}
"""
_LOOK = """
if systemd-detect-virt --quiet --container; then
    left >/dev/null
    [ "$bounded" ] || echo "it is a container, and its memory is the whole machine's: give it a bound" \
        "(drkit lab up --memory)"
fi
[ "$(left)" -gt "$1" ] || echo "it has $(left) bytes left already"
"""
# tail keeps all that it reads until a line ends, and zeros have no lines; its input stays open.
_TAKE = """
size=$(($(left) - $1))
[ "$size" -gt 0 ] || { echo "nothing was left to take" >&2; exit 1; }
systemctl is-active --quiet "$2" && { echo "0"; exit 0; }
systemd-run --unit "$2" --description "drkit drill: holds memory" --quiet --collect \
    --property=OOMScoreAdjust=1000 --property="RuntimeMaxSec=$3" --property=KillSignal=SIGKILL \
    /bin/sh -c '{ head -c "$1" /dev/zero; exec sleep infinity; } | tail' sh "$size" || exit 1
echo "$size"
"""
_SEEN = 'systemctl is-active --quiet "$1" && left; exit 0'


class PressMemory(NodeFault):
    """Options: ``leave_bytes``, what is left to everybody else."""

    needs: ClassVar[tuple[str, ...]] = ("awk", "head", "tail", "sleep", "systemd-detect-virt")
    undone: ClassVar[str] = "the memory is free again"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._leave = int(self.options["leave_bytes"])
        self._unit = f"{self.armed.unit}{armed.HOLDER}.service"
        self._seconds = 0.0

    def impossible(self) -> str:
        """See ``NodeFault``."""
        return "; ".join(armed.ask(self.node, _LEFT + _LOOK, str(self._leave)).splitlines())

    def arm(self, seconds: float) -> str:
        """See ``Fault.arm``; the program has a time of its own beside."""
        self._seconds = seconds
        return super().arm(seconds)

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return armed.END.format(unit=self._unit)

    def inject(self) -> str:
        """See ``Fault.inject``."""
        size = self.armed.act(_LEFT + _TAKE, str(self._leave), self._unit, f"{self._seconds:.0f}s")
        return f"{self._unit} takes {size} bytes"

    def confirm(self) -> str:
        """See ``Fault.confirm``: what is left is near what was to be left."""
        left = armed.ask(self.node, _LEFT + _SEEN, self._unit)
        if not left or int(left) > self._leave + _SLACK_BYTES:
            return ""
        return f"{int(left) // 2**20} MiB of memory are left"


_SLACK_BYTES = 64 * 2**20
"""What others let go of meanwhile."""
