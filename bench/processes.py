"""What the kernel says of running processes: who started whom, processor time, peak memory (proc(5))."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A process as ``/proc/<pid>/stat`` has it."""

    pid: int
    parent: int
    name: str
    seconds: float
    """Processor time, user and system, its own and that of the children that it has waited for."""


def _read(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may hold any character, parentheses too.
    head, _, rest = text.rpartition(")")
    fields = rest.split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(pid, int(fields[1]), head.partition("(")[2], ticks / _TICKS)


def tree(root: int) -> list[Process]:
    """``root`` and its descendants, ``root`` first; empty where it is gone."""
    found = [
        process for entry in Path("/proc").iterdir() if entry.name.isdigit() and (process := _read(int(entry.name)))
    ]
    children = defaultdict(list)
    for process in found:
        children[process.parent].append(process)
    reached = [process for process in found if process.pid == root]
    for process in reached:
        reached += children[process.pid]
    return reached


def processor_seconds(root: int) -> float:
    """Processor time of ``root``, of all below it, and of those below it that have ended and were waited for."""
    return sum(process.seconds for process in tree(root))


def machine_seconds() -> float:
    """Processor time that all processes and the kernel have used since the machine started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=8)[1:8]
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts) / _TICKS


def peak_memory(pid: int) -> int:
    """The most resident memory that a process had since its program was started, in bytes; 0 where it is gone.

    ``ru_maxrss`` would not do: of a child it is the largest of itself and all its children, and it begins with
    what the parent had at the fork.
    """
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0
