"""What has to be known before a cluster is hurt on purpose, found out. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster import fields
from drkit.drill import lease
from drkit.drill.look import BUDGET
from drkit.drill.safety.backup import relied_on
from drkit.drill.safety.facts import Backup, Budget, Facts, Member
from drkit.drill.watch.views import owner
from drkit.drill.whole import NODE, POD, VOTER
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from drkit.cluster.kube import Api, Object
    from drkit.config.model import Drills
    from drkit.drill.faults.port import Prepared
    from drkit.drill.look import Objects
    from drkit.drill.whole import Problem
    from drkit.points.catalogue import Catalogue

BACKUP_LIMIT = 26 * 3600.0
"""Seconds, where ``drills.backup_limit`` is left out: a day, and two hours in which the next one is made."""
_ETCD = "node-role.kubernetes.io/etcd"
_ENDED = frozenset({"Succeeded", "Failed"})


def gather(  # noqa: PLR0913 - each is of another's making, and passed by name
    *,
    now: datetime,
    drills: Drills,
    lab: bool,
    prepared: Sequence[Prepared],
    found: Objects,
    problems: Sequence[Problem],
    api: Api,
    catalogue: Callable[[], Catalogue],
    holder: str = "",
    ways: Mapping[str, str] | None = None,
) -> Facts:
    """The facts of one drill on one cluster.

    Args:
        now: the time.
        drills: what the configuration says.
        lab: whether the cluster is a lab.
        prepared: what each fault said of itself.
        found: the cluster's objects, as ``look.objects`` gives them.
        problems: what is not whole, as ``Wholeness.begin`` says.
        api: the cluster's, for its Lease.
        catalogue: reads what the vaults hold; called only where the backup's age matters.
        holder: as whom this drkit holds the Lease already, if it does (``Holding.identity``).
        ways: as ``Facts``.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let us look at the Lease.
    """
    held = lease.look(api)
    limit = drills.backup_limit if drills.backup_limit is not None or lab else BACKUP_LIMIT
    return Facts(
        now,
        lab,
        tuple(drills.allow),
        tuple(prepared),
        tuple(problems),
        members(found.get(NODE, ())),
        None if held is not None and held.holder == holder else held,
        drills.hours,
        drills.watchdog or "",
        Backup() if limit is None else _backup(catalogue, limit),
        tuple(budget(each, found.get(POD, ())) for each in found.get(BUDGET, ())),
        ways or {},
    )


def members(nodes: Iterable[Object]) -> tuple[Member, ...]:
    """The members of the cluster's etcd, as its nodes say: k3s labels those that have one. Pure."""
    return tuple(
        Member(fields.text(each, "metadata", "name"), _well(each))
        for each in nodes
        if _ETCD in fields.mapping(each, "metadata", "labels")
    )


def budget(thing: Object, pods: Iterable[Object]) -> Budget:
    """A PodDisruptionBudget, and where its pods are that a drain would take away. Pure.

    In ``policy/v1`` a selector without conditions means all pods of the namespace, and none at all means none.
    """
    namespace, spec = fields.text(thing, "metadata", "namespace"), fields.mapping(thing, "spec")
    selector = spec.get("selector")
    where: dict[str, int] = {}
    for pod in pods if isinstance(selector, dict) else ():
        node = fields.text(pod, "spec", "nodeName")
        ours = fields.text(pod, "metadata", "namespace") == namespace and fields.selects(
            fields.mapping(spec, "selector"), fields.strings(pod, "metadata", "labels")
        )
        if ours and node and _evicted(pod):
            where[node] = where.get(node, 0) + 1
    name = f"{namespace}/{fields.text(thing, 'metadata', 'name')}"
    return Budget(name, fields.whole(thing, "status", "disruptionsAllowed"), where)


def _evicted(pod: Object) -> bool:
    """Whether a drain would evict it: not what has ended, is going, or a daemon set's."""
    going = fields.text(pod, "metadata", "deletionTimestamp") or fields.text(pod, "status", "phase") in _ENDED
    return not going and not owner(pod).startswith("DaemonSet/")


def _well(node: Object) -> bool:
    says = {fields.text(each, "type") for each in fields.items(node, "status", "conditions")}
    return fields.condition(node, "Ready") and (VOTER not in says or fields.condition(node, VOTER))


def _backup(catalogue: Callable[[], Catalogue], limit: float) -> Backup:
    try:
        return relied_on(catalogue(), limit)
    except DrkitError as error:
        return Backup(said=error.message, limit=limit)
