"""What a step's function is given, and how such functions are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import Protocol

    from drkit.observe.progress import Task
    from drkit.restore.engine.journal import Attempt, History
    from drkit.restore.engine.plan import Step

WARNING = "warning"
NOTE = "note"
REISSUE = "reissue"
OLD_RECORD = "old-record"


class Call:
    """One call of a step's function.

    What it tells (``warn``, ``note``, ``reissue``, ``old_record``) is in the journal at once, so that the report has it
    even where the step is killed afterwards and called again. Nothing of that may be a secret.

    Args:
        step: the step.
        attempt: the journal.
        begun_before: an earlier attempt began this step, and may have done any part of it.
        results: what the steps that are done left, by their ids.
        task: told how far the work is, in bytes.
    """

    def __init__(
        self,
        step: Step,
        attempt: Attempt,
        *,
        begun_before: bool,
        results: Mapping[str, Mapping[str, Any]],
        task: Task,
    ) -> None:
        self.step = step
        self.begun_before = begun_before
        self.results = results
        self.task = task
        self._attempt = attempt

    @property
    def restore(self) -> str:
        """The restore's id, the same in each attempt."""
        return self._attempt.journal.restore

    def warn(self, text: str) -> None:
        """What could not be made as it was, though the step is done."""
        self._tell(WARNING, text)

    def note(self, text: str) -> None:
        """What is worth knowing."""
        self._tell(NOTE, text)

    def reissue(self, text: str) -> None:
        """What outside depends on the cluster, and has to be issued or entered anew."""
        self._tell(REISSUE, text)

    def old_record(self, name: str, kind: str, values: list[str]) -> None:
        """A DNS record about to be changed, for going back; of a name and kind, the first that is told counts."""
        self._tell(OLD_RECORD, {"name": name, "type": kind, "values": values})

    def _tell(self, kind: str, value: Any) -> None:
        self._attempt.write(step=self.step.id, told=kind, value=value)


@dataclass(frozen=True)
class Group:
    """Actions of which so many steps run at a time."""

    name: str
    at_once: int


@dataclass(frozen=True)
class Action:
    """What carries out the steps of one action.

    ``run`` must be idempotent: after a kill in its middle it is called again and must end the same. It returns what
    later steps need as plain JSON without secrets, or nothing.
    """

    run: Callable[[Call], Mapping[str, Any] | None]
    group: Group | None = None


if TYPE_CHECKING:

    class Work(Protocol):
        """What a kind of restore brings to the engine."""

        def prepared(self, restore: str, history: History) -> AbstractContextManager[Mapping[str, Action]]:
            """Preflight, and the functions by the names of actions, for the time of the body.

            Args:
                restore: the restore's id, the same in each attempt.
                history: what earlier attempts did; without records in the first.

            Raises:
                TargetNotEmpty: nothing was touched.
                PreflightFailed: nothing was touched.
            """
            ...
