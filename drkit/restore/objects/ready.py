"""What an object's status says: whether a definition is established, and a workload runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.cluster.kube import Object


def definition(obj: Object) -> str:
    """Why a custom resource definition is not established; empty where it is."""
    for kind in ("NamesAccepted", "Established"):
        condition = _condition(obj, kind)
        if condition.get("status") != "True":
            return f"not {kind}: {condition.get('message') or 'the API server has not looked at it yet'}"
    return ""


def served(obj: Object) -> tuple[str, str] | None:
    """Group and plural that a definition serves; nothing where none of its versions is served."""
    spec = _mapping(obj, "spec")
    versions = spec.get("versions")
    if not any(isinstance(each, dict) and each.get("served") for each in versions or []):
        return None
    return str(spec.get("group")), str(_mapping(spec, "names").get("plural"))


def workload(obj: Object) -> str:
    """Why a Deployment, StatefulSet or DaemonSet is not ready; empty where it is, or is held at zero."""
    status = _mapping(obj, "status")
    if _number(status, "observedGeneration") < _number(_mapping(obj, "metadata"), "generation"):
        return "its controller has not looked at it yet"
    if obj.get("kind") == "DaemonSet":
        wanted, updated = _number(status, "desiredNumberScheduled"), _number(status, "updatedNumberScheduled")
        ready = _number(status, "numberAvailable")
    else:
        wanted = _number(_mapping(obj, "spec"), "replicas", 1)
        updated = _number(status, "updatedReplicas")
        ready = _number(status, "availableReplicas")
    if min(updated, ready) >= wanted:
        return ""
    said = _condition(obj, "Available").get("message")
    return f"{ready} of {wanted} pods are ready" + (f": {said}" if said else "")


def _condition(obj: Object, kind: str) -> Mapping[str, Any]:
    conditions = _mapping(obj, "status").get("conditions")
    for each in conditions if isinstance(conditions, list) else []:
        if isinstance(each, dict) and each.get("type") == kind:
            return each
    return {}


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _number(value: Mapping[str, Any], key: str, otherwise: int = 0) -> int:
    found = value.get(key, otherwise)
    return found if isinstance(found, int) else otherwise
