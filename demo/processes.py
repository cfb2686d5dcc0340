"""Our own processes: found by their ancestry, so that what lost its parent on the way is found as well."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_PR_SET_CHILD_SUBREAPER = 36
"""Linux, ``prctl(2)``: descendants that lose their parent become our children instead of the init process's."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 10.0


def adopt_orphans() -> None:
    """From now on no descendant can slip away by outliving its parent."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def listen() -> None:
    """Make each signal that ends a program an interruption, so that everything is taken down on the way out."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves them
            signal.signal(number, _interrupted)


def shield() -> None:
    """Ignore such signals from now on: taking down must not be cut short."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupted(_: int, __: FrameType | None) -> None:
    shield()
    raise KeyboardInterrupt


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    return Path(f"/proc/{pid}").exists()


def descendants() -> tuple[int, ...]:
    """Our children, their children and so on; those that have ended are reaped first."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                # The program's name, in parentheses, may hold anything; the fields after it are numbers.
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return tuple(sorted(found - {os.getpid()}))


def end_descendants() -> tuple[str, ...]:
    """Wait until all have ended; kill those that do not, by their numbers, and name them."""
    if not _gone_within(_GRACE_SECONDS):
        stubborn = tuple(f"{pid} ({_name(pid)})" for pid in descendants())
        for pid in descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _gone_within(_GRACE_SECONDS)
        return stubborn
    return ()


def _gone_within(seconds: float) -> bool:
    until = time.monotonic() + seconds
    while descendants():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)  # the kernel tells of the end of children, and not of theirs
    return True


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended meanwhile"
