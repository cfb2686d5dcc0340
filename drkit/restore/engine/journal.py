"""What a restore did, so that it can be resumed: JSON lines, each on the disk before the next thing happens.

The first line has the plan. Each attempt begins with a line of its own; then each step has one when it is started and
one when it ended, with the result that later steps need. ``at`` is the time in UTC, ``since`` the seconds since the
attempt began, by a clock that never goes back. What registers as a secret is masked, should it ever get here.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from drkit import state
from drkit.masking import mask

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from drkit.clock import Clock

STARTED = "started"
DONE = "done"
FAILED = "failed"
INTERRUPTED = "interrupted"
FINISHED = "finished"
DESTROYED = "destroyed"
"""What it made at its provider is removed, or is being removed."""


@dataclass(frozen=True)
class History:
    """What a journal says: the plan that was begun, and all that came after it, in order."""

    plan: dict[str, Any]
    records: tuple[dict[str, Any], ...] = ()

    @property
    def steps(self) -> dict[str, str]:
        """The last word about each step that was ever begun."""
        return {record["step"]: record["status"] for record in self.records if "step" in record and "status" in record}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """What the steps that are done left for others."""
        return {record["step"]: record.get("result") or {} for record in self.records if record.get("status") == DONE}

    @property
    def finished(self) -> bool:
        """Whether the restore came to its end, or was destroyed: it is not gone on with."""
        return any(record.get("status") in {FINISHED, DESTROYED} for record in self.records)

    @property
    def attempts(self) -> int:
        """How often it was begun or resumed."""
        return sum("attempt" in record for record in self.records)


class Journal:
    """Appends to one journal. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    @property
    def restore(self) -> str:
        """The restore's id: what it makes elsewhere carries it, and a resumed restore keeps it."""
        return self.path.stem

    def write(self, **record: Any) -> None:
        """Append one record and wait for the disk."""
        with self._lock:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # A line that a crash cut short gets its end first, so that it does not swallow this one.
                size = os.fstat(handle).st_size
                begin = b"" if size == 0 or os.pread(handle, 1, size - 1) == b"\n" else b"\n"
                os.write(handle, begin + mask(json.dumps(record)).encode() + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)


class Attempt:
    """One run of ``drkit restore`` in a journal: gives each record its time.

    Args:
        journal: where it is written.
        clock: the time.
        number: 1, and one more each time it is resumed.
        started: when the command began, UTC.
        start: the same by ``clock.monotonic()``.
    """

    def __init__(self, journal: Journal, clock: Clock, number: int, started: datetime, start: float) -> None:
        self.journal = journal
        self._clock, self._start = clock, start
        journal.write(attempt=number, at=to_text(started))

    def write(self, **record: Any) -> None:
        """Append one record with the time."""
        since = round(self._clock.monotonic() - self._start, 3)
        self.journal.write(**record, at=to_text(self._clock.now()), since=since)


def to_text(moment: datetime) -> str:
    """A time as the journal has it: RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def directory(target: str) -> Path:
    """Where the journals of restores to ``target`` are."""
    path = state.state_dir() / "restores" / target
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def begin(target: str, name: str, plan: dict[str, Any]) -> Journal:
    """A new journal that starts with the plan."""
    journal = Journal(directory(target) / f"{name}.jsonl")
    journal.write(plan=plan)
    state.sync_directory(journal.path.parent)
    return journal


def newest(target: str) -> Journal | None:
    """The journal that was begun last."""
    journals = sorted(directory(target).glob("*.jsonl"))
    return Journal(journals[-1]) if journals else None


def of(restore: str) -> Journal | None:
    """The journal of a restore, to whichever target, where this machine began it."""
    found = next((state.state_dir() / "restores").glob(f"*/{restore}.jsonl"), None)
    return Journal(found) if found else None


def recent(count: int) -> list[Journal]:
    """The journals that were begun last, of all targets, the newest first."""
    found = sorted((state.state_dir() / "restores").glob("*/*.jsonl"), key=lambda path: path.stem, reverse=True)
    return [Journal(path) for path in found[:count]]


def read(journal: Journal) -> History | None:
    """What the journal says; nothing where not even the plan reached the disk.

    A line that was cut short by a crash is as if it had not been written: what it told of had not happened, or is
    looked at again.
    """
    plan: dict[str, Any] | None = None
    records = []
    for line in journal.path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            plan = record.get("plan", plan)
            records.append({key: value for key, value in record.items() if key != "plan"})
    return None if plan is None else History(plan, tuple(record for record in records if record))
