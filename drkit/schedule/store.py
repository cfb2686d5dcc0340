"""The jobs' records on disk: one file each, replaced as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from drkit import state
from drkit.observe.log import Level
from drkit.points import names
from drkit.schedule.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from drkit.observe.log import Log


def lock_name(cluster: str) -> str:
    """Of the lock that a cluster's scheduler holds."""
    return f"schedule-{names.slug(cluster)}"


class Store:
    """The records of one cluster's jobs. What cannot be written now is remembered, and written with the next."""

    def __init__(self, cluster: str, log: Log) -> None:
        self._directory = state.state_dir() / "schedule" / names.slug(cluster)
        self._log = log
        self._known: dict[str, Record] = {}

    def get(self, job: str) -> Record | None:
        """What is known of a job."""
        if job not in self._known:
            found = self._read(self._file(job))
            if found is None:
                return None
            self._known[job] = found
        return self._known[job]

    def put(self, job: str, record: Record) -> None:
        """Keep it. A disk that is full does not stop the jobs."""
        self._known[job] = record
        try:
            state.write_durably(self._file(job), record.model_dump_json(indent=2) + "\n")
        except OSError as error:
            self._log.say(Level.ERROR, f"the record cannot be kept: {error.strerror or error}", job=job)

    def all(self, jobs: Iterable[str]) -> dict[str, Record]:
        """Those that there are."""
        return {job: found for job in jobs if (found := self.get(job)) is not None}

    def _file(self, job: str) -> Path:
        return self._directory / f"{job.replace('/', '.')}.json"

    def _read(self, file: Path) -> Record | None:
        try:
            return Record.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            # As after a crash of the disk: the job begins anew, and nothing that is due from now on is lost.
            self._log.say(Level.WARNING, f"{file} cannot be read: its job is taken for a new one")
            return None
