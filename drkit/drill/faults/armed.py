"""An undo that waits on a machine: a script there, and a timer of systemd that runs it whatever becomes of drkit.

Both are transient, below ``/run``: a machine that reboots forgets them, and with them whatever else lived in its memory
(nftables' tables, queueing disciplines, transient units). What outlives a reboot, such as a file on a disk, is noted
below ``STAYS`` and removed by ``clean``.

The script is safe to run again and beside itself: it holds a lock, and its last act is to remove itself. What is done
to the machine holds the same lock and looks first whether the script is there and its timer runs, so that nothing is
ever done of which the undo has been.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drkit import process
from drkit.errors import FaultFailed
from drkit.process import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.cluster.node import Node
    from drkit.process import Completed

ROOT: Final = "/run/drkit-drill"
"""Below it each undo has a directory; root's alone."""
STAYS: Final = "/var/lib/drkit-drill"
"""Below it is a file for each thing that a reboot does not take away; it holds the thing's path."""
PREFIX: Final = "drkit-drill-"
"""What the names of units and files begin with."""
HOLDER: Final = "-holds"
"""What the names of units end with whose program is a fault's effect."""
END: Final = """
systemctl kill --signal=KILL {unit} 2>/dev/null
systemctl stop {unit} 2>/dev/null
systemctl reset-failed {unit} 2>/dev/null
! systemctl is-active --quiet {unit}
"""
"""The body of a shell function that ends such a unit, and is content where there is none."""

_NEEDED = ("flock", "systemd-run", "systemctl")
_QUICK_SECONDS = 30.0
_UNDO_SECONDS = 180.0
_NOT_ARMED = 75

_MISSING = """
[ "$(id -u)" = 0 ] || echo "its user is not root"
[ -d /run/systemd/system ] || echo "systemd does not run there"
for each; do command -v "$each" >/dev/null || echo "there is no program $each"; done
"""
_HOLD = """
exec 9>>lock
flock 9
"""
_UNDO = """#!/bin/sh
# drkit drill: takes back what was done to this machine. Run by {unit}.timer, or by drkit; safe to run again.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd {directory} 2>/dev/null || exit 0
{hold}
[ -e undo ] || exit 0
undo() {{
{body}
}}
undo || exit 1
if [ -e begun ]; then echo {said}; else echo "nothing had been done"; fi
rm -f undo
rm -rf {directory}
"""
_PLACE = """
umask 077
mkdir -p "$1"
systemctl stop "$2.timer" "$2.service" 2>/dev/null
systemctl reset-failed "$2.timer" "$2.service" 2>/dev/null
exit 0
"""
_ACT = f"""
cd "$1" 2>/dev/null || exit {_NOT_ARMED}
unit=$2
shift 2
{_HOLD}
[ -e undo ] && systemctl is-active --quiet "$unit.timer" || exit {_NOT_ARMED}
: >begun
"""
_FIRE = """
said="nothing was left"
if [ -e "$1/undo" ]; then said=$(sh "$1/undo") || exit 1; fi
systemctl stop "$2.timer" "$2.service" 2>/dev/null
systemctl reset-failed "$2.timer" "$2.service" 2>/dev/null
echo "$said"
"""
_WAITS = '[ -e "$1/undo" ] && systemctl is-active --quiet "$2.timer"'
_DROP = """
systemctl stop "$2.timer" "$2.service" 2>/dev/null
systemctl reset-failed "$2.timer" "$2.service" 2>/dev/null
rm -rf "$1"
"""


def missing(node: Node, programs: Iterable[str] = ()) -> str:
    """What a machine lacks for an undo to wait there, and of these programs; empty where it has all. Changes nothing.

    Raises:
        NodeUnreachable: it does not answer.
    """
    return "; ".join(ask(node, _MISSING, *_NEEDED, *programs).splitlines())


def run(node: Node, script: str, *arguments: str, stdin: bytes = b"", deadline: float = _QUICK_SECONDS) -> Completed:
    """Run a shell script on a machine to its end.

    Raises:
        NodeUnreachable: it does not answer.
        FaultFailed: it took too long.
    """
    try:
        return node.run(["sh", "-c", script, "sh", *arguments], stdin=stdin, deadline=deadline)
    except DeadlineExceeded as error:
        raise FaultFailed(str(error), f"look at {node.name}") from None


def ask(node: Node, script: str, *arguments: str, deadline: float = _QUICK_SECONDS) -> str:
    """What a shell script prints, which must succeed.

    Raises:
        NodeUnreachable: the machine does not answer.
        FaultFailed: it failed.
    """
    done = run(node, script, *arguments, deadline=deadline)
    if done.status != 0:
        raise FaultFailed(f"{node.name}: {process.tail(done.stderr) or f'status {done.status}'}")
    return done.stdout.decode(errors="replace").strip()


@dataclass(frozen=True)
class Armed:
    """An undo on a machine.

    Args:
        node: the machine.
        name: unique among all undos there.

    All calls raise ``NodeUnreachable`` where the machine does not answer, and ``FaultFailed`` where it refuses.
    """

    node: Node
    name: str

    @property
    def unit(self) -> str:
        """What its timer and its service are called."""
        return f"{PREFIX}{self.name}"

    @property
    def directory(self) -> str:
        """Where its files are."""
        return f"{ROOT}/{self.name}"

    def place(self, body: str, said: str, seconds: float, header: str = "") -> str:
        """Let the undo wait from now on; one that waited under this name is replaced. Returns where it waits.

        Args:
            body: what undoes it, as the body of a shell function that fails where it could not: it is then run again.
                It may be run where nothing had been done.
            said: what is told when it was done.
            seconds: after which it is run.
            header: what the file ``header`` beside it holds, which is root's alone; a secret.
        """
        run(self.node, _PLACE, self.directory, self.unit)
        if header:
            self.node.write(f"{self.directory}/header", header.encode(), mode=0o600)
        script = _UNDO.format(
            unit=self.unit, directory=shlex.quote(self.directory), hold=_HOLD, body=body, said=shlex.quote(said)
        )
        self.node.write(f"{self.directory}/undo", script.encode(), mode=0o700)
        timer = ["--on-active", f"{seconds:.1f}s", "--timer-property=AccuracySec=100ms", "--collect"]
        service = ["--property=Restart=on-failure", "--property=RestartSec=5s"]
        named = ["--unit", self.unit, "--description", "drkit drill: undo", "--quiet"]
        started = ["systemd-run", *named, *timer, *service, "/bin/sh", f"{self.directory}/undo"]
        ask(self.node, '"$@"', *started)
        return f"{self.unit}.timer on {self.node.name}, in {seconds:.0f} s"

    def act(self, script: str, *arguments: str, stdin: bytes = b"", deadline: float = _QUICK_SECONDS) -> str:
        """Do something to the machine while the undo waits there, and return what it printed.

        Raises:
            FaultFailed: also where no undo waits; nothing was done then.
        """
        done = run(self.node, _ACT + script, self.directory, self.unit, *arguments, stdin=stdin, deadline=deadline)
        if done.status == _NOT_ARMED:
            raise FaultFailed(f"{self.node.name}: no undo waits there: nothing was done", "arm the fault first")
        if done.status != 0:
            raise FaultFailed(f"{self.node.name}: {process.tail(done.stderr) or f'status {done.status}'}")
        return done.stdout.decode(errors="replace").strip()

    def waits(self) -> bool:
        """Whether the undo still waits."""
        return run(self.node, _WAITS, self.directory, self.unit).status == 0

    def fire(self) -> str:
        """Undo now, and take the timer away. Returns what was done."""
        return ask(self.node, _FIRE, self.directory, self.unit, deadline=_UNDO_SECONDS)

    def drop(self) -> None:
        """Take undo and timer away: somebody else has undone it."""
        run(self.node, _DROP, self.directory, self.unit)
