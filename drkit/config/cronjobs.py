"""What ``drkit.yaml`` says of the jobs that Kubernetes runs, as frozen values."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from drkit import __version__

NAMESPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A DNS label (RFC 1123), as Kubernetes wants a namespace's name."""


class CronJobs(BaseModel):
    """What is around the jobs that ``drkit cronjobs render`` makes; their times are those of ``drkit schedule``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = Field(default=f"drkit:{__version__}", pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$")
    namespace: str = Field(default="drkit", pattern=NAMESPACE)
    api: list[IPv4Network | IPv6Network] = []
    """Where pods reach the API: its Service's address and the servers'; anywhere on 443 and 6443 where left out."""
    storage: str = Field(default="2Gi", pattern=r"^[1-9]\d{0,5}[MGT]i$")
    """For what Borg and drkit remember between two runs."""
    storage_class: str | None = None
    scratch: str = Field(default="20Gi", pattern=r"^[1-9]\d{0,5}[MGT]i$")
    """For the largest database that a deep verification restores."""
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = [443]
    """Where pods reach those who are notified and pinged, anywhere."""
    shares: int = Field(default=1, ge=1, le=100)
    """Pods that the databases of a namespace are shared out to, each with a repository of its own."""
