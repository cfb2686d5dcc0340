"""The port: one fault, on one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Prepared:
    """What a fault says of itself before anything is done.

    Attributes:
        impossible: why the target cannot do it; empty where it can.
        hits: the nodes whose work it disturbs: the blast radius.
        disturbs_hosts: whether SSH to these nodes may be lost meanwhile: probes must not go through them.
        dies: whether the host is off meanwhile.
        watched: whether its undo is the provider's to do, and waits on the watchdog: a dead host runs no timer.
    """

    impossible: str = ""
    hits: tuple[str, ...] = ()
    disturbs_hosts: bool = False
    dies: bool = False
    watched: bool = False


class Fault(Protocol):
    """Armed, then injected, confirmed, undone. Each call can be cut off at any point and made again.

    All calls raise ``DrkitError`` where who has to do it does not answer, or refuses.
    """

    def prepare(self) -> Prepared:
        """Find out whether the target can do it, changing nothing. Comes first."""
        ...

    def arm(self, seconds: float) -> str:
        """Have the undo wait where it outlives drkit, for this many seconds, and return where that is.

        Raises:
            PreflightFailed: there is no such place, and nobody said that it is to be done without one.
        """
        ...

    def inject(self) -> str:
        """Do it, and return the word of whoever did.

        Raises:
            FaultFailed: it is not armed; nothing was done.
        """
        ...

    def confirm(self) -> str:
        """What is seen of its effect now; empty where nothing is yet."""
        ...

    def undo(self) -> str:
        """Undo it and take the timer away; nothing happens where there is nothing left. Returns what was done."""
        ...
