"""What must not wake before its data is there, and how it is put to sleep and woken. Pure.

CronJobs are suspended; poolers, and workloads that use a database, are scaled to nothing. What was there before stands
in an annotation on the object itself: so a release after a crash knows it, and releasing gives back just what was held.
Each change is there as a merge patch (RFC 7386) for objects that are in the cluster, and as a changed object for those
that have yet to be applied; both come to the same.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from drkit.cluster.kube import Object

ANNOTATION: Final = "drkit.dev/held"
_SELECTOR: Final = "drkit.dev/held"
"""A node label that no node has: it keeps a DaemonSet from every node."""
_SCALED: Final = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})
_CNPG: Final = "postgresql.cnpg.io/"
_SUSPENDED: Final = frozenset({"CronJob", "Job"})
_POOLER: Final = "Pooler"
"""Of CloudNativePG. Its Deployment is left alone: the operator changes that when it sees the Pooler changed."""
_ABSENT: Final = "absent"
_WAS: Final = "was"


def can_be_held(obj: Object) -> bool:
    """Whether there is a way to hold an object of its kind."""
    return obj.get("kind") in _SCALED | _SUSPENDED | {"DaemonSet"} or _is_pooler(obj)


def is_held(obj: Object) -> bool:
    """Whether it carries what was there before."""
    return _before(obj) is not None


def hold_patch(obj: Object) -> Object | None:
    """What holds an object; nothing where it is held already.

    Args:
        obj: one that ``can_be_held``.
    """
    before = _before(obj)
    patch: Object = {"spec": _held_spec(obj)}
    if before is None:
        metadata = obj["metadata"]
        noted = {**_now(obj), "annotations": _ABSENT if "annotations" not in metadata else _WAS}
        patch["metadata"] = {"annotations": {ANNOTATION: json.dumps(noted, sort_keys=True)}}
    return patch if _merged(obj, patch) != obj else None


def release_patch(obj: Object) -> Object | None:
    """What gives an object its state back; nothing where it is not held."""
    before = _before(obj)
    if before is None:
        return None
    alone = before["annotations"] == _ABSENT and len(obj["metadata"]["annotations"]) == 1
    metadata = {"annotations": None if alone else {ANNOTATION: None}}
    return {"metadata": metadata, "spec": _released_spec(obj, before)}


def hold(obj: Object) -> Object:
    """The object as it is applied while it is held; itself where it cannot be held."""
    patch = hold_patch(obj) if can_be_held(obj) else None
    return obj if patch is None else _merged(obj, patch)


def release(obj: Object) -> Object:
    """The object as it was before it was held."""
    patch = release_patch(obj)
    return obj if patch is None else _merged(obj, patch)


def _before(obj: Object) -> dict[str, Any] | None:
    """What an annotation of drkit's says; nothing where there is none, or one that drkit did not write."""
    annotations = obj.get("metadata", {}).get("annotations")
    text = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    key = _key(obj)
    if not isinstance(found, dict) or found.get("annotations") not in {_ABSENT, _WAS} or not _is_possible(key, found):
        return None
    return found


def _is_possible(key: str, found: dict[str, Any]) -> bool:
    value = found.get(key, _ABSENT)
    if value == _ABSENT:
        return True
    match key:
        case "replicas" | "instances":
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case "suspend":
            return isinstance(value, bool)
        case _:
            return bool(value == _WAS)


def _key(obj: Object) -> str:
    """The field of the spec that holding changes."""
    kind = obj.get("kind")
    if _is_pooler(obj):
        return "instances"
    return "replicas" if kind in _SCALED else "suspend" if kind in _SUSPENDED else "nodeSelector"


def _now(obj: Object) -> dict[str, Any]:
    key = _key(obj)
    spec = obj.get("spec") or {}
    if key != "nodeSelector":
        return {key: spec.get(key, _ABSENT)}
    return {key: _WAS if "nodeSelector" in _pod_spec(obj) else _ABSENT}


def _pod_spec(obj: Object) -> Object:
    found: Object = (obj["spec"].get("template") or {}).get("spec") or {}
    return found


def _held_spec(obj: Object) -> Object:
    match _key(obj):
        case "replicas" | "instances" as key:
            return {key: 0}
        case "suspend":
            return {"suspend": True}
        case _:
            return {"template": {"spec": {"nodeSelector": {_SELECTOR: "true"}}}}


def _released_spec(obj: Object, before: dict[str, Any]) -> Object:
    key = _key(obj)
    value = before.get(key, _ABSENT)
    if key != "nodeSelector":
        return {key: None if value == _ABSENT else value}
    alone = value == _ABSENT and set(_pod_spec(obj).get("nodeSelector") or {}) <= {_SELECTOR}
    return {"template": {"spec": {"nodeSelector": None if alone else {_SELECTOR: None}}}}


def _merged(obj: Object, patch: Object) -> Object:
    return merge(copy.deepcopy(obj), patch)


def merge(into: Object, patch: Object) -> Object:
    """A JSON merge patch (RFC 7386), done to ``into``."""
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict):
            below = into.get(name)
            into[name] = merge(below if isinstance(below, dict) else {}, value)
        else:
            into[name] = value
    return into


def is_finished(job: Object) -> bool:
    """Whether a Job has ended, well or not: it runs no more."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(each.get("type") in {"Complete", "Failed"} and each.get("status") == "True" for each in conditions)


@dataclass(frozen=True)
class Chosen:
    """What must be held; and the ReplicaSets of held Deployments, which would make pods before their owner acts."""

    held: tuple[Object, ...]
    followers: tuple[Object, ...]


def choose(objects: Iterable[Object], uses_database: Collection[Identity]) -> Chosen:
    """Of these objects, those that must be held: every CronJob and what it has begun, poolers, what uses a database.

    What CloudNativePG controls is not among them: that is made anew in its time.

    Args:
        objects: workloads of all kinds.
        uses_database: which of them do.
    """
    known = [each for each in objects if can_be_held(each) and not _is_of_cnpg(each)]
    roots = {
        identity(each)
        for each in known
        if each["kind"] == "CronJob" or _is_pooler(each) or identity(each) in uses_database
    }
    wanted = [each for each in known if identity(each) in roots or owner(each) in roots]
    running = [each for each in wanted if each["kind"] != "Job" or not is_finished(each)]
    return Chosen(
        tuple(each for each in running if not is_follower(each)), tuple(each for each in running if is_follower(each))
    )


def follower_patch(replica_set: Object) -> Object | None:
    """What keeps a held Deployment's ReplicaSet from making pods; nothing where it makes none."""
    return {"spec": {"replicas": 0}} if (replica_set.get("spec") or {}).get("replicas", 1) else None


def forget_patch(replica_set: Object) -> Object | None:
    """What takes the annotation off a ReplicaSet, onto which a Deployment's are copied; nothing where it has none."""
    there = ANNOTATION in (replica_set["metadata"].get("annotations") or {})
    return {"metadata": {"annotations": {ANNOTATION: None}}} if there else None


Identity = tuple[str, str, str]
"""An object's kind, namespace (empty where it has none) and name."""


def identity(obj: Object) -> Identity:
    """Which object it is."""
    return obj.get("kind", ""), obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def owner(obj: Object) -> Identity | None:
    """Which object controls it."""
    found = _controller(obj)
    return (found["kind"], obj["metadata"].get("namespace", ""), found["name"]) if found else None


def is_follower(obj: Object) -> bool:
    """Whether it is a ReplicaSet of a Deployment."""
    return obj["kind"] == "ReplicaSet" and (owner(obj) or ("",))[0] == "Deployment"


def _controller(obj: Object) -> Object | None:
    owners: list[Object] = obj["metadata"].get("ownerReferences") or []
    return next((each for each in owners if each.get("controller")), None)


def _is_of_cnpg(obj: Object) -> bool:
    found = _controller(obj)
    return found is not None and str(found.get("apiVersion", "")).startswith(_CNPG)


def _is_pooler(obj: Object) -> bool:
    return obj.get("kind") == _POOLER and str(obj.get("apiVersion", "")).startswith(_CNPG)
