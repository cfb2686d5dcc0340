"""What a restore did, so that it can be resumed: JSON lines, each on the disk before the next thing happens."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit import state

if TYPE_CHECKING:
    from pathlib import Path

STARTED = "started"
DONE = "done"
FINISHED = "finished"


@dataclass(frozen=True)
class History:
    """What a journal says: the plan that was begun, and the last word about each step."""

    plan: dict[str, Any]
    steps: dict[str, str] = field(default_factory=dict)
    finished: bool = False


class Journal:
    """Appends to one journal. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def write(self, **record: Any) -> None:
        """Append one record and wait for the disk."""
        with self._lock:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # A line that a crash cut short gets its end first, so that it does not swallow this one.
                size = os.fstat(handle).st_size
                begin = b"" if size == 0 or os.pread(handle, 1, size - 1) == b"\n" else b"\n"
                os.write(handle, begin + json.dumps(record).encode() + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)


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


def read(journal: Journal) -> History | None:
    """What the journal says; nothing where not even the plan reached the disk.

    A line that was cut short by a crash is as if it had not been written: what it told of had not happened, or is
    looked at again.
    """
    plan: dict[str, Any] | None = None
    steps: dict[str, str] = {}
    finished = False
    for line in journal.path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        plan = record.get("plan", plan)
        finished = finished or record.get("status") == FINISHED
        if "step" in record:
            steps[record["step"]] = record["status"]
    return None if plan is None else History(plan, steps, finished)
