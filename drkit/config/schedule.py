"""What ``drkit.yaml`` says of the jobs that ``drkit schedule run`` does by itself, as frozen values."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drkit.config.cron import Cron, Zone
from drkit.config.times import Seconds


class Job(BaseModel):
    """When something is done by itself; a text alone is its ``cron``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: Cron
    limit: Seconds | None = Field(default=None, gt=0)
    """How long it may take; what takes longer is ended."""

    @model_validator(mode="before")
    @classmethod
    def _text_alone(cls, value: Any) -> Any:
        return {"cron": value} if isinstance(value, str) else value


class DrillJob(Job):
    """When drills are run, and which."""

    suite: str = Field(default="nightly", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


class HardenJob(Job):
    """When the declared patches are looked at."""

    plan: bool = False
    """Whether what is lost is only told, and not applied again."""


class RehearsalJob(Job):
    """When a lab's cluster is lost and brought back, and how."""

    mode: Literal["etcd", "manifests"] = "etcd"


class Schedule(BaseModel):
    """What ``drkit schedule run`` does beside the backups, whose times stand at their vaults. ``null`` is never."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: Zone = "UTC"
    """Of all times, those of the vaults too."""
    limit: Seconds = Field(default=12 * 3600.0, gt=0)
    """How long a job may take that has no limit of its own."""
    prune: Job | None = Job(cron="30 4 * * *")
    verify: Job | None = Job(cron="0 5 * * 1-6")
    verify_deep: Job | None = Job(cron="0 5 * * 0")
    """Does what ``verify`` does first: so that one pauses on Sundays."""
    harden: HardenJob | None = HardenJob(cron="*/15 * * * *")
    """Nothing where no patches are declared."""
    drills: DrillJob | None = None
    rehearsal: RehearsalJob | None = None
