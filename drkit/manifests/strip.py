"""What of an object is its owner's wish, without what the cluster adds by itself. Pure.

An export in this form can be applied to another cluster: nothing in it names what only the old one had, such as the
identifiers of owners and volumes, or addresses out of its ranges. What is left out here is in the raw form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object

_METADATA: Final = frozenset(
    {
        *("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"),
        *("deletionTimestamp", "deletionGracePeriodSeconds"),
        # An owner's uid is another one in the new cluster, and what names an owner that is not there is collected as
        # garbage. Who owns an object sets this again.
        "ownerReferences",
    }
)
_ANNOTATIONS: Final = frozenset(
    {
        "deployment.kubernetes.io/revision",  # counted by the controller, from one again in a new cluster
        "deprecated.daemonset.template.generation",
        *("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"),
        *("volume.kubernetes.io/selected-node", "volume.kubernetes.io/storage-provisioner"),
        "volume.beta.kubernetes.io/storage-provisioner",
    }
)
_CONTROLLER_UID: Final = frozenset({"controller-uid", "batch.kubernetes.io/controller-uid"})
_NONE: Final = "None"


def strip(obj: Object) -> Object:
    """A copy without what the cluster adds; the object itself stays as it is.

    Anything of an unexpected shape is left as it is: the API server that takes it back is the judge of it.
    """
    result = {key: value for key, value in obj.items() if key != "status"}
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = _metadata(metadata)
        if obj.get("kind") == "Job":
            result["metadata"] = _without_controller(result["metadata"])
    special = _SPECIAL.get(f"{obj.get('apiVersion')} {obj.get('kind')}")
    spec = obj.get("spec")
    if special is not None and isinstance(spec, dict):
        result["spec"] = special(obj, spec)
    return result


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in metadata.items() if key not in _METADATA}
    annotations = result.get("annotations")
    if isinstance(annotations, dict) and not _ANNOTATIONS.isdisjoint(annotations):
        result |= {"annotations": _without(annotations, _ANNOTATIONS)}
        if not result["annotations"]:
            del result["annotations"]
    return result


def _without(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    dropped = frozenset(keys)
    return {key: value for key, value in mapping.items() if key not in dropped}


def _service(obj: Object, spec: dict[str, Any]) -> dict[str, Any]:
    headless = spec.get("clusterIP") == _NONE
    result = spec if headless else _without(spec, ("clusterIP", "clusterIPs"))
    wished = _WishedPorts(obj)
    if not wished.health_check:
        result = _without(result, ("healthCheckNodePort",))
    ports = spec.get("ports")
    if isinstance(ports, list):
        result = {**result, "ports": [port if wished.has(port) else _without_node_port(port) for port in ports]}
    return result


class _WishedPorts:
    """The node ports that somebody asked for, as far as the object says: its managers' fields, or what was applied.

    A port that the cluster chose may be taken in the next one; one that was asked for is what others rely on. Velero
    tells them apart in the same way (https://velero.io/docs/main/restore-reference/#preserve-nodeports).
    """

    def __init__(self, obj: Object) -> None:
        self._named: set[tuple[Any, Any]] = set()
        self.health_check = False
        metadata = obj.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        for entry in metadata.get("managedFields") or []:
            self._managed(entry)
        annotations = metadata.get("annotations")
        applied = annotations.get(_LAST_APPLIED) if isinstance(annotations, dict) else None
        if isinstance(applied, str):
            self._applied(applied)

    def has(self, port: Any) -> bool:
        """Whether this port's node port was asked for."""
        if not isinstance(port, dict) or "nodePort" not in port:
            return True
        return (port.get("port"), port.get("protocol", "TCP")) in self._named

    def _managed(self, entry: Any) -> None:
        try:
            spec = entry["fieldsV1"]["f:spec"]
            self.health_check |= "f:healthCheckNodePort" in spec
            for key, fields in (spec.get("f:ports") or {}).items():
                if key.startswith("k:") and "f:nodePort" in fields:
                    named = json.loads(key[2:])
                    self._named.add((named.get("port"), named.get("protocol", "TCP")))
        except (KeyError, TypeError, ValueError, AttributeError):
            return  # not of a form that says anything

    def _applied(self, text: str) -> None:
        try:
            spec = json.loads(text)["spec"]
            self.health_check |= "healthCheckNodePort" in spec
            for port in spec.get("ports") or []:
                if "nodePort" in port:
                    self._named.add((port.get("port"), port.get("protocol", "TCP")))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return  # see above


def _without_node_port(port: dict[str, Any]) -> dict[str, Any]:
    return _without(port, ("nodePort",))


def _claim(_: Object, spec: dict[str, Any]) -> dict[str, Any]:
    return _without(spec, ("volumeName",))


def _volume(_: Object, spec: dict[str, Any]) -> dict[str, Any]:
    claim = spec.get("claimRef")
    return {**spec, "claimRef": _without(claim, ("uid", "resourceVersion"))} if isinstance(claim, dict) else spec


def _job(_: Object, spec: dict[str, Any]) -> dict[str, Any]:
    if spec.get("manualSelector"):
        return spec
    result = _without(spec, ("selector",))  # made of the controller's uid
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
        result["template"] = {**template, "metadata": _without_controller(template["metadata"])}
    return result


def _without_controller(metadata: dict[str, Any]) -> dict[str, Any]:
    labels = metadata.get("labels")
    return {**metadata, "labels": _without(labels, _CONTROLLER_UID)} if isinstance(labels, dict) else metadata


def _pod(_: Object, spec: dict[str, Any]) -> dict[str, Any]:
    # The node may be gone; the others can only be added to a pod that runs.
    return _without(spec, ("nodeName", "ephemeralContainers"))


_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SPECIAL: Final = {
    "v1 Service": _service,
    "v1 PersistentVolumeClaim": _claim,
    "v1 PersistentVolume": _volume,
    "v1 Pod": _pod,
    "batch/v1 Job": _job,
}
