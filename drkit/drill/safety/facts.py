"""What has to be known before a cluster is hurt on purpose. Plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drkit.config.times import Hours
    from drkit.drill.faults.port import Prepared
    from drkit.drill.lease import Held
    from drkit.drill.whole import Problem


@dataclass(frozen=True)
class Member:
    """A server's member of the cluster's etcd, and whether it is well."""

    name: str
    well: bool


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget: how many of its pods may be taken away now, and how many it has on each node."""

    name: str
    allowed: int
    pods: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Backup:
    """The newest verified recovery point; of several that a restore would need together, the oldest.

    Attributes:
        created: when it was made; None where there is none.
        said: why there is none, or nobody knows, such as a vault that does not answer.
        limit: how old it may be, in seconds; None where any age will do.
    """

    created: datetime | None = None
    said: str = ""
    limit: float | None = None


@dataclass(frozen=True)
class Facts:
    """All of it.

    Attributes:
        now: the time.
        lab: whether the cluster is a lab, which takes every scenario.
        allowed: the scenarios that another one takes.
        prepared: what each fault said of itself, in the order of the drill's injections.
        problems: what is not whole now.
        members: etcd's; none where the cluster has none, and with one there is no quorum that could be lost.
        held: who works on the cluster already.
        hours: when drills may begin; None for always.
        watchdog: the host that undoes what befell another; empty where there is none.
        backup: see there.
        budgets: those of all namespaces.
        ways: the node that a probe goes through, by the probe's name.
    """

    now: datetime
    lab: bool = False
    allowed: tuple[str, ...] = ()
    prepared: tuple[Prepared, ...] = ()
    problems: tuple[Problem, ...] = ()
    members: tuple[Member, ...] = ()
    held: Held | None = None
    hours: Hours | None = None
    watchdog: str = ""
    backup: Backup = field(default_factory=Backup)
    budgets: tuple[Budget, ...] = ()
    ways: Mapping[str, str] = field(default_factory=dict)
