"""How a restore went, told from its journal alone: every attempt, every step, the critical path, the RTO. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from drkit.restore.engine import action, journal
from drkit.restore.engine.critical import Path, path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.restore.engine.journal import History
    from drkit.restore.engine.plan import Plan, Step

KILLED = "killed"
"""The last word about an attempt or a step that did not come to say one."""


@dataclass(frozen=True)
class StepReport:
    """One run of a step: seconds since the first attempt began, and how long it took."""

    id: str
    action: str
    title: str
    status: str
    began: float
    seconds: float
    attempt: int
    error: str = ""


@dataclass(frozen=True)
class AttemptReport:
    """One attempt: when it began (RFC 3339, UTC, and in seconds since the first), how long it took, how it ended."""

    number: int
    started: str
    began: float
    seconds: float
    status: str


@dataclass(frozen=True)
class OldRecord:
    """A DNS record as it was before the restore changed it."""

    name: str
    type: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.name, self.type, *(self.values or ("(there was none)",))))


@dataclass(frozen=True)
class Report:
    """How a restore went."""

    plan: Plan
    restore: str
    attempts: tuple[AttemptReport, ...]
    steps: tuple[StepReport, ...]
    """The run of each step that came to its end, in the order in which they began."""
    cut_short: tuple[StepReport, ...]
    """Runs that failed, were interrupted or killed, and were done again where the restore was resumed."""
    critical: Path
    seconds: float
    """From the start to the last proof, gaps between attempts included: the RTO, measured."""
    roles_made: tuple[str, ...]
    warnings: tuple[str, ...]
    """The plan's, and what could not be made as it was though every proof is equal."""
    notes: tuple[str, ...]
    reissue: tuple[str, ...]
    """What outside depends on the cluster and has to be issued anew."""
    old_records: tuple[OldRecord, ...]
    finished: bool
    """Whether the restore came to its end, which it does only when every proof is equal."""

    @property
    def started(self) -> str:
        """When the first attempt began, RFC 3339 in UTC with whole seconds."""
        return f"{self.attempts[0].started[:19]}Z"

    @property
    def point(self) -> str:
        """The newest point that was drawn on."""
        return max((drawn.point for drawn in self.plan.draws_on), default="")

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "target": self.plan.target,
            "restore": self.restore,
            "mode": self.plan.mode,
            "started": self.started,
            "point": self.point,
            "draws_on": [asdict(drawn) for drawn in self.plan.draws_on],
            "proofs_equal": self.finished,
            "rto_seconds": self.seconds,
            "roles_made": list(self.roles_made),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "reissue": list(self.reissue),
            "old_records": [{**asdict(each), "values": list(each.values)} for each in self.old_records],
            "steps": [{**asdict(step), "critical": step.id in self.critical.steps} for step in self.steps],
            "cut_short": [asdict(step) for step in self.cut_short],
            "critical_path": {"steps": list(self.critical.steps), "seconds": self.critical.seconds},
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


def of(plan: Plan, history: History, restore: str) -> Report:
    """The report of a restore, whether it came to its end or not.

    Args:
        plan: what was to be done.
        history: all of its journal; at least one attempt began.
        restore: its id.
    """
    parts = _parts(history)
    first = _time(parts[0][0]["at"])
    attempts: list[AttemptReport] = []
    runs: list[StepReport] = []
    titles = {step.id: step for step in plan.steps}
    for records in parts:
        number, began = len(attempts) + 1, round((_time(records[0]["at"]) - first).total_seconds(), 3)
        found = _runs(records, titles, number, began)
        runs += found
        seconds = max((record.get("since", 0.0) for record in records), default=0.0)
        attempts.append(AttemptReport(number, records[0]["at"], began, seconds, _ended(records, found)))
    done = sorted((run for run in runs if run.status == journal.DONE), key=lambda run: run.began)
    told = _Told(history.records)
    made = [role for result in history.results.values() for role in result.get("roles_made", ())]
    return Report(
        plan=plan,
        restore=restore,
        attempts=tuple(attempts),
        steps=tuple(done),
        cut_short=tuple(run for run in runs if run.status != journal.DONE),
        critical=path(plan.steps, {run.id: run.seconds for run in done}),
        seconds=round(attempts[-1].began + attempts[-1].seconds, 3),
        roles_made=tuple(dict.fromkeys(made)),
        warnings=tuple(dict.fromkeys((*plan.warnings, *told.texts(action.WARNING)))),
        notes=tuple(told.texts(action.NOTE)),
        reissue=tuple(told.texts(action.REISSUE)),
        old_records=told.old_records(),
        finished=history.finished,
    )


def _parts(history: History) -> list[list[dict[str, Any]]]:
    """The records of each attempt, the one that begins it first."""
    parts: list[list[dict[str, Any]]] = []
    for record in history.records:
        if "attempt" in record:
            parts.append([record])
        elif parts:
            parts[-1].append(record)
    return parts


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _runs(records: Sequence[dict[str, Any]], steps: dict[str, Step], attempt: int, offset: float) -> list[StepReport]:
    """What ran in one attempt. What has no end ran at least until the last thing that the journal says."""
    last = max((record.get("since", 0.0) for record in records), default=0.0)
    begun: dict[str, float] = {}
    found = []

    def run(step: str, status: str, end: float, error: str = "") -> StepReport:
        known = steps[step]
        start = begun.pop(step)
        return StepReport(
            step, known.action, known.title, status, round(offset + start, 3), round(end - start, 3), attempt, error
        )

    for record in records:
        step, status = record.get("step"), record.get("status")
        if step not in steps or status is None:
            continue
        if status == journal.STARTED:
            begun[step] = record["since"]
        elif step in begun:
            found.append(run(step, status, record["since"], record.get("error", "")))
    return found + [run(step, KILLED, last) for step in list(begun)]


def _ended(records: Sequence[dict[str, Any]], runs: Iterable[StepReport]) -> str:
    if any(record.get("status") == journal.FINISHED for record in records):
        return journal.FINISHED
    words = {run.status for run in runs}
    return next((word for word in (journal.FAILED, journal.INTERRUPTED) if word in words), KILLED)


class _Told:
    """What the steps told, each thing once."""

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        self._told = [(record["told"], record["value"]) for record in records if "told" in record]

    def texts(self, kind: str) -> list[str]:
        return list(dict.fromkeys(value for what, value in self._told if what == kind))

    def old_records(self) -> tuple[OldRecord, ...]:
        """The first of a name and type: a step that is called again finds its own change."""
        found: dict[tuple[str, str], OldRecord] = {}
        for what, value in self._told:
            if what == action.OLD_RECORD:
                key = (value["name"], value["type"])
                found.setdefault(key, OldRecord(*key, tuple(value["values"])))
        return tuple(found.values())
