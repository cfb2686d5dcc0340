"""What there is of a cluster, and what is to be done next. Pure: the shell in reconcile.py looks and acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .spec import INSTANCE_ROLE_LABEL, PRIMARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .spec import ClusterSpec, Object

LEADER_ANNOTATION = "leader"
"""Of Patroni's config map ``<cluster>-leader``: the instance that holds the lease."""

HEALTHY = "Cluster in healthy state"
SETTING_UP = "Setting up primary"
FAILING_OVER = "Failing over"
JOINING = "Creating a new replica"
WAITING = "Waiting for the instances to become active"
UNRECOVERABLE = "Cluster is unrecoverable and needs manual intervention"
"""CloudNativePG's phases, in its words (api/v1/cluster_types.go)."""


@dataclass(frozen=True)
class Observed:
    """A cluster's parts that exist, by their names."""

    pods: Mapping[str, Object] = field(default_factory=dict)
    claims: Mapping[str, Object] = field(default_factory=dict)
    leader: str | None = None
    last_number: int = 0
    """The highest number that an instance ever had: a new one gets the next."""


@dataclass(frozen=True)
class Actions:
    """What is to be done now; names of instances."""

    new_claims: tuple[int, ...] = ()
    new_pods: tuple[int, ...] = ()
    failed_pods: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    relabelled: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


def is_leaving(thing: Object) -> bool:
    """Whether it has been deleted, and waits for its end."""
    return "deletionTimestamp" in thing["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether a pod serves."""
    conditions = pod.get("status", {}).get("conditions", [])
    return not is_leaving(pod) and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def primary(seen: Observed) -> str | None:
    """The instance that leads, as Patroni's lease says and its pod confirms."""
    pod = seen.pods.get(seen.leader or "")
    labelled = pod is not None and pod["metadata"].get("labels", {}).get(INSTANCE_ROLE_LABEL) == PRIMARY
    return seen.leader if labelled else None


def actions(spec: ClusterSpec, seen: Observed, operator_image: str) -> Actions:
    """What is to be done next.

    An instance is its volume claim. One whose pod is gone gets a pod again, which waits for the volume's node where
    that is lost; only when the claim is gone is there a new instance, with a new number, as with CloudNativePG. A
    primary's pod waits until a ready replica has succeeded it.
    Replicas are added one by one, when there is a primary to copy. A cluster that had instances and has no claims has
    lost its data: an empty instance in its place would look as if it had not.
    """
    claims = {name: claim for name, claim in seen.claims.items() if not is_leaving(claim)}
    ended = tuple(
        name
        for name, pod in seen.pods.items()
        if pod.get("status", {}).get("phase") in {"Failed", "Succeeded"} and not is_leaving(pod)
    )
    lost = tuple(
        spec.number(name) for name in sorted(claims) if name not in seen.pods and not _is_being_succeeded(seen, name)
    )
    new: tuple[int, ...] = ()
    if (not seen.claims and not _is_lost(seen)) or (len(claims) < spec.instances and _may_join(seen, claims)):
        new = (seen.last_number + 1,)
    return Actions(
        new_claims=new,
        new_pods=(*lost, *new),
        failed_pods=ended,
        removed=_surplus(spec, seen, claims),
        relabelled=_mislabelled(seen),
        replaced=_outdated(spec, seen, operator_image),
    )


def _is_lost(seen: Observed) -> bool:
    return seen.last_number > 0 and not seen.claims


def _is_being_succeeded(seen: Observed, name: str) -> bool:
    """Whether the lost primary's lease is about to pass on: made again at once, it would take its own lease back."""
    return name == seen.leader and any(is_ready(pod) for pod in seen.pods.values())


def _may_join(seen: Observed, claims: Mapping[str, Object]) -> bool:
    leader = primary(seen)
    return leader is not None and all(name in seen.pods and is_ready(seen.pods[name]) for name in claims)


def _surplus(spec: ClusterSpec, seen: Observed, claims: Mapping[str, Object]) -> tuple[str, ...]:
    if len(claims) <= spec.instances or primary(seen) is None:
        return ()
    newest = sorted((name for name in claims if name != seen.leader), key=spec.number)
    return tuple(newest[-1:])


def _outdated(spec: ClusterSpec, seen: Observed, operator_image: str) -> tuple[str, ...]:
    """The next pod to be made again because its images have changed: one at a time, the primary last."""
    leader = primary(seen)
    if leader is None or len(seen.pods) < spec.instances or not all(is_ready(pod) for pod in seen.pods.values()):
        return ()
    old = [name for name, pod in seen.pods.items() if _images(pod) != (operator_image, spec.image)]
    return tuple(sorted(old, key=lambda name: (name == leader, spec.number(name)))[:1])


def _images(pod: Object) -> tuple[str, ...]:
    parts = (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"])
    return tuple(part["image"] for part in parts)


def _mislabelled(seen: Observed) -> tuple[str, ...]:
    """Pods that say primary and are not: a lost node cannot take its pod's label back."""
    leader = primary(seen)
    return tuple(
        name
        for name, pod in seen.pods.items()
        if leader not in {None, name} and pod["metadata"].get("labels", {}).get(INSTANCE_ROLE_LABEL) == PRIMARY
    )


def status(spec: ClusterSpec, seen: Observed, before: Object) -> Object:
    """The cluster's status.

    Args:
        spec: the cluster.
        seen: what there is.
        before: its status until now: the primary is remembered while there is none.
    """
    leader = primary(seen)
    ready = sorted(name for name, pod in seen.pods.items() if is_ready(pod))
    current = leader or before.get("currentPrimary")
    healthy = leader in ready and len(ready) == spec.instances == len(seen.claims)
    found: Object = {
        "instances": len(seen.claims),
        "readyInstances": len(ready),
        "instanceNames": sorted(seen.claims),
        "latestGeneratedNode": seen.last_number,
        "image": spec.image,
        "writeService": f"{spec.name}-rw",
        "readService": f"{spec.name}-r",
        "phase": _phase(spec, seen, leader, before, healthy=healthy),
        "phaseReason": "drkit's stand-in for CloudNativePG",
    }
    return {**found, "currentPrimary": current, "targetPrimary": current} if current else found


def _phase(spec: ClusterSpec, seen: Observed, leader: str | None, before: Object, *, healthy: bool) -> str:
    if _is_lost(seen):
        return UNRECOVERABLE
    if healthy:
        return HEALTHY
    if leader is None:
        return FAILING_OVER if before.get("currentPrimary") else SETTING_UP
    return JOINING if len(seen.claims) < spec.instances else WAITING
