"""Where an undo waits that the provider does: on another host, or on this one. A dead host runs no timer.

On this machine it is a process of its own, which a kill -9 of drkit does not end, and which ends by itself. It is the
lab's way: a lab dies with this machine too. For machines that are somewhere else another host is the better place: it
may call the provider when this machine has no network.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Protocol

from drkit import process
from drkit.drill.faults import armed, notes
from drkit.drill.faults.armed import Armed
from drkit.errors import FaultFailed, PreflightFailed

if TYPE_CHECKING:
    from drkit.cluster.node import Node
    from drkit.drill.faults.notes import Note
    from drkit.providers.power import Power

_BEGIN_SECONDS = 60.0
_PASSED_ON = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "XDG_STATE_HOME")
_PROGRAM = "drkit.drill.faults.waiting"


class Watchdog(Protocol):
    """Each call may be made again."""

    def lacks(self, note: Note, power: Power) -> str:
        """Why this undo cannot wait there; empty where it can. Changes nothing."""
        ...

    def arm(self, note: Note, power: Power, seconds: float) -> str:
        """Have the undo wait for so many seconds, and return where it does.

        Raises:
            PreflightFailed: it cannot.
            DrkitError: who has to do it does not answer, or refuses.
        """
        ...

    def waits(self, name: str) -> bool:
        """Whether the undo of that name still waits there."""
        ...

    def disarm(self, name: str) -> None:
        """Take it away: it was undone."""
        ...


class HostWatchdog:
    """Another host: a timer there calls the provider's API. See ``Watchdog``.

    Args:
        node: how it is logged in to. None of the machines that are hit.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def lacks(self, note: Note, power: Power) -> str:
        """See ``Watchdog``."""
        if note.recall.server == self._node.name:
            return f"the watchdog {self._node.name} is the machine that is hit"
        if power.remotely(note.recall) is None:
            return f"{power.name} cannot be called from another host: the watchdog has to be local"
        lacking = armed.missing(self._node, ["curl", "grep"])
        return f"the watchdog {self._node.name}: {lacking}" if lacking else ""

    def arm(self, note: Note, power: Power, seconds: float) -> str:
        """See ``Watchdog``. The token is in a file there in memory, its owner's alone, and goes with the undo."""
        remotely = power.remotely(note.recall)
        if remotely is None or note.recall.server == self._node.name:
            raise PreflightFailed(self.lacks(note, power))
        said = f"{note.recall.server} was put right"
        return Armed(self._node, note.name).place(remotely.script, said, seconds, remotely.header)

    def waits(self, name: str) -> bool:
        """See ``Watchdog``."""
        return Armed(self._node, name).waits()

    def disarm(self, name: str) -> None:
        """See ``Watchdog``."""
        Armed(self._node, name).drop()


class LocalWatchdog:
    """This machine: a process of its own, which holds the note's lock as long as it waits. See ``Watchdog``."""

    def lacks(self, note: Note, power: Power) -> str:  # noqa: ARG002 - whatever it is, drkit can do it
        """See ``Watchdog``."""
        return ""

    def arm(self, note: Note, power: Power, seconds: float) -> str:
        """See ``Watchdog``. What it needs to know, the token among it, goes through a pipe."""
        self.disarm(note.name)
        path = notes.write(note)
        way = power.way()
        job = {"note": note.name, "seconds": seconds, "provider": way.provider, "arguments": dict(way.arguments)}
        given = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # The kernel kills what drkit itself starts when drkit dies, which is ``setsid`` alone.
        child = process.spawn(
            ["setsid", "--fork", sys.executable, "-P", "-m", _PROGRAM],
            env={**process.clean_environment(), **given},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdin is not None  # noqa: S101 - asked for
        assert child.stdout is not None  # noqa: S101 - spawn's default is a pipe
        try:
            child.stdin.write(json.dumps(job).encode())
            child.stdin.close()
            ready, _, _ = select.select([child.stdout], [], [], _BEGIN_SECONDS)
            said = child.stdout.readline() if ready else b""
        finally:
            process.stop(child)
        if not said.strip():
            raise FaultFailed("the watchdog on this machine did not begin to wait")
        return f"process {said.decode().strip()} on this machine, in {seconds:.0f} s, for {path.stem}"

    def waits(self, name: str) -> bool:
        """See ``Watchdog``."""
        try:
            with notes.path_of(name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def disarm(self, name: str) -> None:
        """See ``Watchdog``. The process looks for its note, and ends."""
        if not self.waits(name):
            return
        # It holds the lock of the file that it opened, whatever has the name by then.
        with notes.path_of(name).open("rb") as file:
            notes.remove(name)
            until = time.monotonic() + _BEGIN_SECONDS
            while time.monotonic() < until:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.05)
                else:
                    return
        raise FaultFailed(f"the watchdog of {name} on this machine does not end")
