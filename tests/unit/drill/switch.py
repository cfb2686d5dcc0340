"""The fault of the tests: a value of this process, on or off."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from drkit.drill.faults.port import Prepared
from drkit.errors import NodeUnreachable, PreflightFailed


@dataclass
class Switch:
    """A fault that is a value of this process: on, or off.

    Attributes:
        fails: the call that fails: ``arm``, ``inject`` (after it came about), ``undo``; or ``no-op``: nothing happens.
        seen: set when somebody looked whether it is on.
    """

    on: bool = False
    armed: bool = False
    fails: str = ""
    seen: threading.Event = field(default_factory=threading.Event)

    def prepare(self) -> Prepared:
        """It hits one node."""
        return Prepared(hits=("w1",))

    def arm(self, seconds: float) -> str:
        """Nothing waits anywhere; it is remembered."""
        if self.fails == "arm":
            raise PreflightFailed("no watchdog")
        self.armed = seconds > 0
        return "here"

    def inject(self) -> str:
        """Turn it on."""
        assert self.armed
        self.on = self.fails != "no-op"
        if self.fails == "inject":
            raise NodeUnreachable("gone")
        return "done"

    def confirm(self) -> str:
        """Whether it is on."""
        self.seen.set()
        return "it is on" if self.on else ""

    def undo(self) -> str:
        """Turn it off."""
        if self.fails == "undo":
            raise NodeUnreachable("gone")
        self.on = self.armed = False
        return "off"
