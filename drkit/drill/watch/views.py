"""What a drill follows of a cluster's objects: small frozen values, from the objects as the API gives them. Pure.

Objects are not trusted: what is missing or of another shape than documented counts as not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from drkit.clock import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object
    from drkit.providers.port import TargetHealth

_HASH_LABEL = "pod-template-hash"
_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True)
class NodeView:
    """A node; ``since`` is when its readiness last changed, ``taints`` are ``key:effect`` with when they came."""

    name: str
    ready: bool
    since: str = ""
    taints: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class PodView:
    """A pod.

    Attributes:
        name: ``namespace/pod``.
        node: empty where it has none yet.
        since: when its readiness last changed.
        owner: the workload that it is of, such as ``Deployment/docfast``; empty where nobody made it.
        leaving: whether its deletion was asked for, ``asked``: when.
    """

    name: str
    uid: str
    node: str = ""
    ready: bool = False
    since: str = ""
    owner: str = ""
    leaving: bool = False
    asked: str = ""


@dataclass(frozen=True)
class Endpoint:
    """An address that a service leads to, and the pod and node behind it."""

    address: str
    pod: str = ""
    node: str = ""


@dataclass(frozen=True)
class SliceView:
    """A part of a service's endpoints that are ready; ``changed`` is when it was last written."""

    name: str
    service: str
    endpoints: frozenset[Endpoint] = frozenset()
    changed: str = ""


@dataclass(frozen=True)
class PostgresView:
    """A cluster of CloudNativePG; primaries are names of pods, empty where there is none.

    Attributes:
        target: whom its operator wants as the primary; CloudNativePG says ``pending`` before it has chosen.
        ready: such as ``1 of 2``.
        primary_since: when the primary became it; likewise ``target_since``.
    """

    name: str
    primary: str = ""
    target: str = ""
    phase: str = ""
    ready: str = ""
    primary_since: str = ""
    target_since: str = ""


@dataclass(frozen=True)
class TargetView:
    """A target of a load balancer, ``name:port``, and how that finds it."""

    name: str
    status: str


View = NodeView | PodView | SliceView | PostgresView | TargetView
Views = dict[str, View]
"""By ``name``; of one kind."""


def node(thing: Object) -> NodeView:
    """A Node object."""
    ready = _condition(thing, "Ready")
    return NodeView(
        _named(thing),
        ready=ready.get("status") == "True",
        since=_text(ready, "lastTransitionTime"),
        taints=frozenset(
            (f"{_text(each, 'key')}:{_text(each, 'effect')}", _text(each, "timeAdded"))
            for each in _each(_below(thing, "spec"), "taints")
        ),
    )


def pod(thing: Object) -> PodView:
    """A Pod object."""
    metadata, ready = _below(thing, "metadata"), _condition(thing, "Ready")
    leaving = _text(metadata, "deletionTimestamp")
    return PodView(
        _named(thing),
        _text(metadata, "uid"),
        _text(_below(thing, "spec"), "nodeName"),
        ready=ready.get("status") == "True",
        since=_text(ready, "lastTransitionTime"),
        owner=owner(metadata),
        leaving=bool(leaving),
        asked=_asked(leaving, metadata.get("deletionGracePeriodSeconds")),
    )


def owner(metadata: Mapping[str, Any]) -> str:
    """The workload that an object's metadata names as its controller; that of a ReplicaSet is its Deployment."""
    controller = next((each for each in _each(metadata, "ownerReferences") if each.get("controller")), {})
    kind, name = _text(controller, "kind"), _text(controller, "name")
    digest = _text(_below(metadata, "labels"), _HASH_LABEL)
    if kind == "ReplicaSet" and digest and name.endswith(f"-{digest}"):
        kind, name = "Deployment", name.removesuffix(f"-{digest}")
    return f"{kind}/{name}" if kind else ""


def endpoint_slice(thing: Object) -> SliceView:
    """An EndpointSlice object; an endpoint that does not say whether it is ready is (Kubernetes' own reading)."""
    metadata = _below(thing, "metadata")
    service = _text(_below(metadata, "labels"), _SERVICE_LABEL)
    namespace = _text(metadata, "namespace")
    return SliceView(
        _named(thing),
        f"{namespace}/{service}" if service else _named(thing),
        frozenset(
            Endpoint(address, _text(_below(each, "targetRef"), "name"), _text(each, "nodeName"))
            for each in _each(thing, "endpoints")
            if _below(each, "conditions").get("ready") is not False
            for address in each.get("addresses") or ()
            if isinstance(address, str)
        ),
        # No endpoint says when it came or went; whoever wrote the slice is noted with the time of that.
        max((_text(each, "time") for each in _each(metadata, "managedFields")), default=""),
    )


def postgres(thing: Object) -> PostgresView:
    """A Cluster object of CloudNativePG."""
    status = _below(thing, "status")
    return PostgresView(
        _named(thing),
        _text(status, "currentPrimary"),
        _text(status, "targetPrimary"),
        _text(status, "phase"),
        f"{_number(status, 'readyInstances')} of {_number(_below(thing, 'spec'), 'instances')}",
        _text(status, "currentPrimaryTimestamp"),
        _text(status, "targetPrimaryTimestamp"),
    )


def targets(found: Iterable[TargetHealth]) -> Views:
    """What a load balancer finds of its targets."""
    return {view.name: view for view in (TargetView(f"{each.target}:{each.port}", each.status) for each in found)}


def _asked(leaving: str, grace: object) -> str:
    """When a deletion was asked for: the API notes when it is to be done, which is later by the time of grace."""
    if not leaving or not isinstance(grace, int):
        return leaving
    try:
        return to_text(from_text(leaving) - timedelta(seconds=grace))
    except (ValueError, OverflowError):
        return leaving


def _named(thing: Mapping[str, Any]) -> str:
    metadata = _below(thing, "metadata")
    namespace, name = _text(metadata, "namespace"), _text(metadata, "name")
    return f"{namespace}/{name}" if namespace else name


def _condition(thing: Object, kind: str) -> Mapping[str, Any]:
    return next((each for each in _each(_below(thing, "status"), "conditions") if each.get("type") == kind), {})


def _below(thing: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = thing.get(key)
    return found if isinstance(found, dict) else {}


def _each(thing: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = thing.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _text(thing: Mapping[str, Any], key: str) -> str:
    found = thing.get(key)
    return found if isinstance(found, str) else ""


def _number(thing: Mapping[str, Any], key: str) -> int:
    found = thing.get(key)
    return found if isinstance(found, int) else 0
