"""What all faults have in common that are done to a machine over SSH."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.armed import Armed
from drkit.drill.faults.port import Prepared

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection


class NodeFault(ABC):
    """See ``Fault``. The undo waits on the machine itself.

    Args:
        injection: its target is a node.
        means: with the way to that node.
        number: tells it from the drill's others.

    Raises:
        PreflightFailed: nobody said how the node is logged in to.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Programs of the machine's."""
    disturbs_hosts: ClassVar[bool] = False
    undone: ClassVar[str]
    """What is told when it was undone."""

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        self.target, self.options = injection.target, injection.options
        self.means = means
        self.node = means.node(injection.target)
        self.armed = Armed(self.node, means.name(number))

    def prepare(self) -> Prepared:
        """See ``Fault.prepare``."""
        lacks = armed.missing(self.node, self.needs)
        return Prepared(lacks or self.impossible(), hits=(self.target,), disturbs_hosts=self.disturbs_hosts)

    def arm(self, seconds: float) -> str:
        """See ``Fault.arm``."""
        return self.armed.place(self.undoing(), self.undone, seconds)

    @abstractmethod
    def impossible(self) -> str:
        """Why the machine, which has all that it needs, cannot do it; empty where it can. Changes nothing."""

    @abstractmethod
    def undoing(self) -> str:
        """The shell commands that undo it; see ``Armed.place``."""

    @abstractmethod
    def inject(self) -> str:
        """See ``Fault.inject``."""

    @abstractmethod
    def confirm(self) -> str:
        """See ``Fault.confirm``."""

    def undo(self) -> str:
        """See ``Fault.undo``."""
        return self.armed.fire()
