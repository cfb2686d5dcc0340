"""What a drill follows of a cluster's objects: small frozen values, from the objects as the API gives them. Pure.

Objects are not trusted: what is missing or of another shape than documented counts as not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from drkit.clock import from_text, to_text
from drkit.cluster import fields

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    return NodeView(
        _named(thing),
        ready=fields.condition(thing, "Ready"),
        since=_since(thing),
        taints=frozenset(
            (f"{fields.text(each, 'key')}:{fields.text(each, 'effect')}", fields.text(each, "timeAdded"))
            for each in fields.items(thing, "spec", "taints")
        ),
    )


def pod(thing: Object) -> PodView:
    """A Pod object."""
    leaving = fields.text(thing, "metadata", "deletionTimestamp")
    return PodView(
        _named(thing),
        fields.text(thing, "metadata", "uid"),
        fields.text(thing, "spec", "nodeName"),
        ready=fields.condition(thing, "Ready"),
        since=_since(thing),
        owner=owner(thing),
        leaving=bool(leaving),
        asked=_asked(leaving, fields.whole(thing, "metadata", "deletionGracePeriodSeconds")),
    )


def owner(thing: Object) -> str:
    """The workload that an object names as its controller; that of a ReplicaSet is its Deployment."""
    owners = fields.items(thing, "metadata", "ownerReferences")
    controller = next((each for each in owners if isinstance(each, dict) and each.get("controller")), None)
    kind, name = fields.text(controller, "kind"), fields.text(controller, "name")
    digest = fields.text(thing, "metadata", "labels", _HASH_LABEL)
    if kind == "ReplicaSet" and digest and name.endswith(f"-{digest}"):
        kind, name = "Deployment", name.removesuffix(f"-{digest}")
    return f"{kind}/{name}" if kind else ""


def endpoint_slice(thing: Object) -> SliceView:
    """An EndpointSlice object; an endpoint that does not say whether it is ready is (Kubernetes' own reading)."""
    service = fields.text(thing, "metadata", "labels", _SERVICE_LABEL)
    # No endpoint says when it came or went; whoever wrote the slice is noted with the time of that.
    written = (fields.text(each, "time") for each in fields.items(thing, "metadata", "managedFields"))
    return SliceView(
        _named(thing),
        f"{fields.text(thing, 'metadata', 'namespace')}/{service}" if service else _named(thing),
        frozenset(
            Endpoint(address, fields.text(each, "targetRef", "name"), fields.text(each, "nodeName"))
            for each in fields.items(thing, "endpoints")
            if fields.mapping(each, "conditions").get("ready") is not False
            for address in fields.items(each, "addresses")
            if isinstance(address, str)
        ),
        max(written, default=""),
    )


def postgres(thing: Object) -> PostgresView:
    """A Cluster object of CloudNativePG."""
    return PostgresView(
        _named(thing),
        fields.text(thing, "status", "currentPrimary"),
        fields.text(thing, "status", "targetPrimary"),
        fields.text(thing, "status", "phase"),
        f"{fields.whole(thing, 'status', 'readyInstances')} of {fields.whole(thing, 'spec', 'instances')}",
        fields.text(thing, "status", "currentPrimaryTimestamp"),
        fields.text(thing, "status", "targetPrimaryTimestamp"),
    )


def targets(found: Iterable[TargetHealth]) -> Views:
    """What a load balancer finds of its targets."""
    return {view.name: view for view in (TargetView(f"{each.target}:{each.port}", each.status) for each in found)}


def _asked(leaving: str, grace: int) -> str:
    """When a deletion was asked for: the API notes when it is to be done, which is later by the time of grace."""
    if not leaving or not grace:
        return leaving
    try:
        return to_text(from_text(leaving) - timedelta(seconds=grace))
    except (ValueError, OverflowError):
        return leaving


def _named(thing: Object) -> str:
    namespace, name = fields.text(thing, "metadata", "namespace"), fields.text(thing, "metadata", "name")
    return f"{namespace}/{name}" if namespace else name


def _since(thing: Object) -> str:
    """When its readiness last changed."""
    of_readiness = (
        each for each in fields.items(thing, "status", "conditions") if fields.text(each, "type") == "Ready"
    )
    return next((fields.text(each, "lastTransitionTime") for each in of_readiness), "")
