"""What ``drkit.yaml`` says of the jobs that Kubernetes runs, as frozen values."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from drkit import __version__
from drkit.config.times import Seconds

NAMESPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A DNS label (RFC 1123), as Kubernetes wants a namespace's name."""


class DrillJob(BaseModel):
    """When drills are run from inside the cluster, and which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str
    suite: str = Field(default="nightly", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


class CronJobs(BaseModel):
    """What is around the jobs that ``drkit cronjobs render`` makes; the times of backups stand at their vaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(default=f"drkit:{__version__}", pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")
    namespace: str = Field(default="drkit", pattern=NAMESPACE)
    api: list[IPv4Network | IPv6Network] = []
    """Where pods reach the API: its Service's address and the servers'; anywhere on 443 and 6443 where left out."""
    storage: str = Field(default="2Gi", pattern=r"^[1-9]\d{0,5}[MGT]i$")
    """For what Borg and drkit remember between two runs."""
    storage_class: str | None = None
    limit: Annotated[Seconds, Field(gt=0)] = 5 * 3600.0
    """How long a job may take; what takes longer is ended."""
    shares: int = Field(default=1, ge=1, le=100)
    """Pods that the databases of a namespace are shared out to, each with a repository of its own."""
    drills: DrillJob | None = None
