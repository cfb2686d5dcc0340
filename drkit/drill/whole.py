"""Whether a cluster is whole: what is not as its own objects want it, in sentences. Pure.

What was already unwell before a drill is told, and refuses it; it is not the drill's fault (``blamed``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from drkit.clock import from_text
from drkit.cluster import fields
from drkit.providers.port import HEALTHY as TARGET_HEALTHY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from drkit.cluster.kube import Object
    from drkit.providers.port import TargetHealth

NODE, POD, CLUSTER = "Node", "Pod", "Cluster"
DEPLOYMENT, STATEFUL_SET, DAEMON_SET = "Deployment", "StatefulSet", "DaemonSet"
KINDS = (NODE, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, CLUSTER, POD)
"""What is looked at; ``Cluster`` is CloudNativePG's."""
HEALTHY = "Cluster in healthy state"
"""CloudNativePG's word for it (api/v1/cluster_types.go)."""
VOTER = "EtcdIsVoter"
"""What k3s says of a node's member of etcd (pkg/etcd/etcd.go)."""
_STUCK = timedelta(seconds=15)
"""How much later than its time a pod may go: the clocks of two machines differ, and somebody has to take it away."""


@dataclass(frozen=True, order=True)
class Problem:
    """Who is not well, such as ``Deployment docfast/docfast``, and how: ``has 1 of 2 pods ready``."""

    who: str
    said: str

    def __str__(self) -> str:
        return f"{self.who} {self.said}"


def problems(
    objects: Mapping[str, Sequence[Object]],
    now: datetime,
    *,
    targets: Iterable[TargetHealth] = (),
    expected: Mapping[str, Sequence[Object]] | None = None,
) -> tuple[Problem, ...]:
    """What is not as it should be, in order; nothing where all is well.

    Args:
        objects: all objects of each of ``KINDS``.
        now: the time.
        targets: how the load balancer finds its targets.
        expected: the objects as they were before: what is missing now is a problem as well, pods apart.
    """
    found = [
        Problem(_who(kind, each), said)
        for kind in KINDS
        for each in objects.get(kind, ())
        if (said := _of(kind, each, now))
    ]
    found += [
        Problem(f"the load balancer's target {each.target}:{each.port}", f"is {each.status}")
        for each in targets
        if each.status != TARGET_HEALTHY
    ]
    found += [Problem(who, "is not there any more") for who in _missing(objects, expected or {})]
    return tuple(sorted(found))


def blamed(found: Iterable[Problem], before: Collection[Problem]) -> tuple[Problem, ...]:
    """Those of who was well before."""
    already = {each.who for each in before}
    return tuple(each for each in found if each.who not in already)


def _missing(objects: Mapping[str, Sequence[Object]], expected: Mapping[str, Sequence[Object]]) -> Iterator[str]:
    for kind in KINDS:
        if kind != POD:
            there = {_who(kind, each) for each in objects.get(kind, ())}
            yield from (who for each in expected.get(kind, ()) if (who := _who(kind, each)) not in there)


def _who(kind: str, thing: Object) -> str:
    namespace, name = fields.text(thing, "metadata", "namespace"), fields.text(thing, "metadata", "name")
    called = {NODE: "node", POD: "pod", CLUSTER: "PostgreSQL cluster"}.get(kind, kind)
    return f"{called} {namespace}/{name}" if namespace else f"{called} {name}"


def _of(kind: str, thing: Object, now: datetime) -> str:
    """What is wrong with one object; empty where it is well."""
    match kind:
        case "Node":
            return _node(thing)
        case "Pod":
            return _pod(thing, now)
        case "Cluster":
            return _cluster(thing)
        case "DaemonSet":
            return _ready(thing, fields.whole(thing, "status", "desiredNumberScheduled"), "numberReady")
        case "Deployment":
            return _ready(thing, _replicas(thing), "readyReplicas") or _rolled_out(thing)
        case _:
            return _ready(thing, _replicas(thing), "readyReplicas")


def _node(thing: Object) -> str:
    if not fields.condition(thing, "Ready"):
        return "is not ready"
    if fields.mapping(thing, "spec").get("unschedulable"):
        return "is cordoned"
    says = {fields.text(each, "type") for each in fields.items(thing, "status", "conditions")}
    return "is no voting member of etcd" if VOTER in says and not fields.condition(thing, VOTER) else ""


def _pod(thing: Object, now: datetime) -> str:
    until = fields.text(thing, "metadata", "deletionTimestamp")
    try:
        late = bool(until) and now > from_text(until) + _STUCK
    except (ValueError, OverflowError):
        late = True
    return f"should have been gone at {until}" if late else ""


def _cluster(thing: Object) -> str:
    ready, wanted = fields.whole(thing, "status", "readyInstances"), fields.whole(thing, "spec", "instances") or 1
    phase = fields.text(thing, "status", "phase") or "unknown"
    primary, target = fields.text(thing, "status", "currentPrimary"), fields.text(thing, "status", "targetPrimary")
    if phase != HEALTHY or ready != wanted:
        return f"is not healthy: {phase}, {ready} of {wanted} ready"
    return "" if primary == target else f"changes its primary from {primary} to {target}"


def _replicas(thing: Object) -> int:
    wanted: Any = fields.mapping(thing, "spec").get("replicas")
    return wanted if isinstance(wanted, int) else 1


def _ready(thing: Object, wanted: int, counted: str) -> str:
    ready = fields.whole(thing, "status", counted)
    if ready < wanted:
        return f"has {ready} of {wanted} pods ready"
    seen = fields.whole(thing, "status", "observedGeneration") >= fields.whole(thing, "metadata", "generation")
    return "" if seen else "was changed, and nobody has seen that yet"


def _rolled_out(thing: Object) -> str:
    updated, wanted = fields.whole(thing, "status", "updatedReplicas"), _replicas(thing)
    paused = fields.mapping(thing, "spec").get("paused")
    return "" if paused or updated >= wanted else f"is being rolled out: {updated} of {wanted} pods are new"
