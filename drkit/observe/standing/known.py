"""All that is known of how well a cluster is protected, as plain frozen values: what is judged, shown and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.drill.verdict import Verdict
    from drkit.points.status import Status


@dataclass(frozen=True)
class VaultSeen:
    """A vault: whether it answered, and if not, why.

    Attributes:
        schedule: as ``drkit.yaml`` has it; empty where it has none.
        every: the longest time between two of its runs, seconds; None where no schedule says.
        points: how many recovery points have their descriptor in it.
        unsealed: archives of runs that never sealed.
    """

    name: str
    answers: bool
    error: str = ""
    schedule: str = ""
    every: float | None = None
    points: int = 0
    unsealed: int = 0


@dataclass(frozen=True)
class PointSeen:
    """A recovery point: when it was made, and how it was verified last (RFC 3339, UTC).

    Attributes:
        level: ``checksums``, ``restored``, or empty where it never was.
        at: when that was.
    """

    id: str
    created: str
    complete: bool
    level: str = ""
    at: str = ""


@dataclass(frozen=True)
class RestoreSeen:
    """The newest restore to a target.

    Attributes:
        seconds: from the command to the last proof: the RTO, measured.
        oldest: seconds that the oldest backup it drew on was old when it began: the RPO, measured.
        finished: whether it came to its end, which it does only when every proof is equal.
    """

    target: str
    restore: str
    started: str
    mode: str
    seconds: float
    oldest: float | None
    finished: bool


@dataclass(frozen=True)
class JobSeen:
    """Where a job of the schedule stands; times are RFC 3339 in UTC, None for what never was.

    Attributes:
        name: such as ``backup/databases``; ``kind`` as in ``drkit.schedule.events``.
        failing: whether its last run that says anything failed.
        exit_code: of its last run.
        began: when that began, and ``ended`` when it ended.
        succeeded: when the last good run ended.
        due: when the next run is due.
        every: the longest time between two of its runs, seconds.
    """

    name: str
    kind: str
    failing: bool
    exit_code: int | None = None
    began: str | None = None
    ended: str | None = None
    succeeded: str | None = None
    due: str | None = None
    every: float | None = None
    summary: str = ""


@dataclass(frozen=True)
class EscrowSeen:
    """The escrow bundle: when it was made (RFC 3339, UTC; None where there is none), and the keys that are newer."""

    made: str | None
    newer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """The whole, at one moment.

    Attributes:
        points: newest first.
        drills: the newest verdict on each scenario, of this cluster.
        restores: the newest one to each target, newest first.
        jobs: of the schedule; none where no scheduler ran on this machine.
        escrow: None where nobody looked for it.
    """

    now: datetime
    status: Status
    vaults: tuple[VaultSeen, ...]
    points: tuple[PointSeen, ...] = ()
    drills: tuple[Verdict, ...] = ()
    restores: tuple[RestoreSeen, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    escrow: EscrowSeen | None = None
