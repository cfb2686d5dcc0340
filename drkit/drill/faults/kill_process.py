"""``kill-process``: one process of a node gets a signal: etcd, k3s, containerd, or a pod's PostgreSQL.

Found by the unit of systemd that runs it, or by the pod whose main server it is; never by a broad name. Who started it
starts it again; a reboot leaves nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.on_node import NodeFault
from drkit.errors import FaultFailed

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection

_STOP = "STOP"
# "began" tells a process from another one that gets its number later (proc_pid_stat(5), field 22).
_FIND = """
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
unit() {
    for each in k3s.service k3s-agent.service; do
        if systemctl is-active --quiet "$each"; then echo "$each"; return; fi
    done
}
main() { [ -z "$1" ] || systemctl show --property=MainPID --value "$1"; }
called() { tr '\\0' '\\n' <"/proc/$1/cmdline" 2>/dev/null | head -n 1 | sed 's:.*/::'; }
inside() {
    [ "$1" ] || return
    group=$(systemctl show --property=ControlGroup --value "$1")
    [ "$group" ] || return
    for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        if [ -d "$root$group" ]; then find "$root$group" -name cgroup.procs -exec cat '{}' +; return; fi
    done
}
servers() {
    for each in /proc/[0-9]*; do
        number=${each#/proc/}
        [ "$(called "$number")" = postgres ] || continue
        grep -q kubepods "$each/cgroup" || continue
        parent=$(sed 's/.*) //' "$each/stat" | cut -d' ' -f2)
        case $(called "$parent") in postgres*) continue ;; esac
        echo "$number"
    done
}
find_it() {
    case $1 in
        postgres) servers ;;
        k3s) main "$(unit)" ;;
        *)
            for number in $(inside "$(unit)"); do
                [ "$(called "$number")" != "$1" ] || echo "$number"
            done
            ;;
    esac
}
# k3s runs etcd within itself.
find_or_embedded() {
    etcd=/var/lib/rancher/k3s/server/db/etcd
    found=$(find_it "$1" | sort -un)
    if [ -z "$found" ] && [ "$1" = etcd ] && [ -d "$etcd/member" ]; then found=$(main k3s); fi
    if [ -z "$found" ] && [ "$1" = containerd ]; then found=$(main containerd); fi
    for number in $found; do [ "$number" = 0 ] || echo "$number $(began "$number")"; done
}
"""
_LOOK = 'find_or_embedded "$1"'
_SIGNAL = """
[ "$(began "$2")" = "$3" ] || { echo "process $2 has gone by itself" >&2; exit 1; }
echo "$2 $3 $1" >process
kill -s "$1" "$2"
"""
_UNDO = (
    _FIND
    + """
if [ -e process ]; then
    read -r number since signal <process
    if [ "$signal" = STOP ] && [ "$(began "$number")" = "$since" ]; then kill -s CONT "$number" || return 1; fi
fi
for each in k3s.service k3s-agent.service; do
    if systemctl is-enabled --quiet "$each" 2>/dev/null && ! systemctl is-active --quiet "$each"; then
        systemctl start --no-block "$each" || return 1
    fi
done
"""
)
_SEEN = """
if [ "$(began "$1")" != "$2" ]; then echo gone; else sed 's/.*) //' "/proc/$1/stat" | cut -c1; fi
"""


class KillProcess(NodeFault):
    """Options: ``process`` (``etcd``, ``k3s``, ``containerd``, ``postgres``), ``signal`` (``KILL``, ``TERM``, …)."""

    needs: ClassVar[tuple[str, ...]] = ("sed", "tr", "find", "grep")
    undone: ClassVar[str] = "what was stopped goes on, and what ended is started"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._process = str(self.options["process"])
        self._signal = str(self.options.get("signal", "KILL"))
        self._hit: tuple[str, str] | None = None

    def impossible(self) -> str:
        """See ``NodeFault``."""
        found = self._find()
        if not found:
            return f"it runs no {self._process}"
        several = ", ".join(number for number, _ in found)
        return f"it runs several of {self._process}: {several}" if len(found) > 1 else ""

    def undoing(self) -> str:
        """See ``NodeFault``."""
        return _UNDO

    def inject(self) -> str:
        """See ``Fault.inject``."""
        found = self._find()
        if len(found) != 1:
            raise FaultFailed(f"{self.target} runs {len(found)} processes that are {self._process}, not one")
        # Kept before it is hit: who is cut off in between still knows whom to look for.
        self._hit = found[0]
        self.armed.act(_FIND + _SIGNAL, self._signal, *self._hit)
        return f"process {self._hit[0]} got a SIG{self._signal}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: the process is gone, or stopped."""
        if self._hit is None:
            return ""
        state = armed.ask(self.node, _FIND + _SEEN, *self._hit)
        if self._signal == _STOP:
            return f"{self._process} (process {self._hit[0]}) is stopped" if state in {"T", "t"} else ""
        return f"{self._process} (process {self._hit[0]}) is gone" if state in {"gone", "Z"} else ""

    def _find(self) -> list[tuple[str, str]]:
        """Number and begin of each process that it could be."""
        lines = armed.ask(self.node, _FIND + _LOOK, self._process).splitlines()
        return [(number, began) for number, began in (each.split() for each in lines)]
