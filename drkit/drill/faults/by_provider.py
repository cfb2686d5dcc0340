"""What all faults have in common that the provider does. Their undo waits on the watchdog, and is noted here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import notes
from drkit.drill.faults.notes import Note
from drkit.drill.faults.port import Prepared
from drkit.errors import FaultFailed, PreflightFailed
from drkit.providers.power import Recall, recall

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection


class ProviderFault(ABC):
    """See ``Fault``.

    Args:
        injection: its target is a node.
        means: with the provider, and a watchdog where it shall be watched.
        number: tells it from the drill's others.

    Raises:
        PreflightFailed: the provider is not known.
    """

    kind: ClassVar[str]
    dies: ClassVar[bool]
    """Whether the host is off meanwhile."""

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        self.target, self.means = injection.target, means
        self.power = means.provider()
        self.name = means.name(number)

    @abstractmethod
    def recall(self) -> Recall:
        """What undoes it, by what is there now."""

    @abstractmethod
    def do(self, wanted: Recall) -> str:
        """Do it, and return the provider's word. ``wanted`` is what was noted."""

    @abstractmethod
    def confirm(self) -> str:
        """See ``Fault.confirm``."""

    def impossible(self) -> str:
        """Why the provider cannot do it; empty where it can."""
        return "" if self.power.has(self.target) else f"{self.power.name} has no machine {self.target}"

    def prepare(self) -> Prepared:
        """See ``Fault.prepare``."""
        said = self.impossible()
        if not said and self.means.watchdog is not None:
            said = self.means.watchdog.lacks(self._note(), self.power)
        return Prepared(said, (self.target,), disturbs_hosts=self.dies, dies=self.dies, watched=True)

    def arm(self, seconds: float) -> str:
        """See ``Fault.arm``."""
        note = self._note()
        if self.means.watchdog is not None:
            if lacks := self.means.watchdog.lacks(note, self.power):
                raise PreflightFailed(lacks)
            notes.write(note)
            return self.means.watchdog.arm(note, self.power, seconds)
        if not self.means.unwatched:
            raise PreflightFailed(
                f"{self.kind} of {self.target}: nobody would undo it if drkit were ended: no timer runs on a dead host",
                "name a host in drills.watchdog of drkit.yaml, or say --force",
            )
        notes.write(note)
        return "nowhere: drkit alone undoes it, or its next run"

    def inject(self) -> str:
        """See ``Fault.inject``."""
        note = notes.read(self.name)
        if note is None or not self._waits():
            raise FaultFailed(f"{self.kind} of {self.target}: no undo waits: nothing was done", "arm the fault first")
        said = self.do(note.recall)
        if not self._waits():
            # The provider took longer than there was time: the undo may have been before.
            recall(self.power, note.recall)
            raise FaultFailed(f"{self.kind} of {self.target}: it came after its time, and was undone")
        return said

    def undo(self) -> str:
        """See ``Fault.undo``."""
        note = notes.read(self.name)
        if note is None:
            return "nothing was left"
        said = recall(self.power, note.recall)
        if self.means.watchdog is not None:
            self.means.watchdog.disarm(self.name)
        notes.remove(self.name)
        return said

    def _note(self) -> Note:
        """What an earlier arming noted, while that is to be undone; else what is there now."""
        return notes.read(self.name) or Note(self.name, self.means.cluster, self.kind, self.recall())

    def _waits(self) -> bool:
        return self.means.watchdog is None or self.means.watchdog.waits(self.name)
