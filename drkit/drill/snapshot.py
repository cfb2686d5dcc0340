"""What a drill has to know of a cluster before it chooses whom to hit: plain frozen values, from listed objects. Pure.

The objects are the API's own, as ``drkit.cluster.kube`` gives them. They are not trusted: what lacks a name is passed
over, and what has another shape than the API's documented one counts as not there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from drkit.cluster import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.cluster.kube import Object

_ROLE = "node-role.kubernetes.io/"
_SERVER_ROLES = frozenset({"control-plane", "master"})
_CLUSTER_LABEL = "cnpg.io/cluster"
POOLER_LABEL = "cnpg.io/poolerName"
API_PORT = 6443


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        roles: such as ``control-plane`` and ``etcd``; none for a worker.
        addresses: internal ones first.
        ready: whether the cluster finds it ready.
        schedulable: false where it is cordoned.
        pod_ranges: the ranges that its pods' addresses are of.
        version: of its kubelet, such as ``v1.34.4+k3s1``.
    """

    name: str
    roles: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ready: bool = True
    schedulable: bool = True
    pod_ranges: tuple[str, ...] = ()
    version: str = ""

    @property
    def is_server(self) -> bool:
        """Whether it runs the control plane."""
        return bool(_SERVER_ROLES & set(self.roles))


@dataclass(frozen=True)
class Pod:
    """A pod that is not about to go; ``node`` is empty where it has none yet."""

    namespace: str
    name: str
    node: str = ""
    ready: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Postgres:
    """A cluster of CloudNativePG.

    Attributes:
        primary: its pod's name; empty while there is none.
        instances: names of its pods.
        wanted: how many instances it shall have.
        ready: how many of them are ready.
    """

    namespace: str
    name: str
    primary: str
    instances: tuple[str, ...] = ()
    wanted: int = 1
    ready: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer of CloudNativePG; ``kind`` is ``rw`` or ``ro``: what it leads to."""

    namespace: str
    name: str
    cluster: str
    kind: str = "rw"


@dataclass(frozen=True)
class Service:
    """A service with an address of its own."""

    namespace: str
    name: str
    address: str
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Snapshot:
    """A cluster at one time; everything in order of its names.

    Attributes:
        api: where the API is served inside of the cluster, such as ``10.0.0.2:6443``.
        targets: the nodes that the load balancer sends traffic to; None where no load balancer is known.
        health: the URLs under ``health:`` of drkit.yaml.
        servers: the kubeconfig's servers, such as ``https://192.0.2.10:6443``.
    """

    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...] = ()
    postgres: tuple[Postgres, ...] = ()
    poolers: tuple[Pooler, ...] = ()
    services: tuple[Service, ...] = ()
    api: tuple[str, ...] = ()
    targets: tuple[str, ...] | None = None
    health: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()

    def node(self, name: str) -> Node | None:
        """The node of that name."""
        return next((each for each in self.nodes if each.name == name), None)

    def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod of that name."""
        return next((each for each in self.pods if (each.namespace, each.name) == (namespace, name)), None)

    def poolers_of(self, cluster: Postgres) -> tuple[Pooler, ...]:
        """The poolers that lead to a cluster."""
        return tuple(
            each for each in self.poolers if (each.namespace, each.cluster) == (cluster.namespace, cluster.name)
        )

    def pods_of_pooler(self, pooler: Pooler) -> tuple[Pod, ...]:
        """A pooler's pods."""
        return tuple(
            each
            for each in self.pods
            if each.namespace == pooler.namespace and each.labels.get(POOLER_LABEL) == pooler.name
        )


def from_objects(
    nodes: Iterable[Object],
    pods: Iterable[Object],
    clusters: Iterable[Object] = (),
    poolers: Iterable[Object] = (),
    services: Iterable[Object] = (),
    endpoint_slices: Iterable[Object] = (),
) -> Snapshot:
    """A cluster from what its API lists. What is known from elsewhere is added by ``dataclasses.replace``.

    Args:
        nodes: all Node objects.
        pods: the Pods of all namespaces.
        clusters: CloudNativePG's ``clusters``; none where it is not installed.
        poolers: its ``poolers``.
        services: the Services of all namespaces; those of ``kube-system`` and of the clusters are enough.
        endpoint_slices: those of the service ``kubernetes`` in ``default``: where the API is served. Without them it
            is taken to be port 6443 of each server.
    """
    seen = _sorted(_node(each) for each in nodes)
    instances = tuple(pods)
    return Snapshot(
        seen,
        _sorted(_pod(each) for each in instances),
        _sorted(_postgres(each, instances) for each in clusters),
        _sorted(_pooler(each) for each in poolers),
        _sorted(_service(each) for each in services),
        _api(endpoint_slices)
        or tuple(at(each.addresses[0], API_PORT) for each in seen if each.is_server and each.addresses),
    )


Named = TypeVar("Named", Node, Pod, Postgres, Pooler, Service)


def _sorted(found: Iterable[Named]) -> tuple[Named, ...]:
    """Those that have a name, in its order."""
    return tuple(
        sorted((each for each in found if each.name), key=lambda each: (getattr(each, "namespace", ""), each.name))
    )


def _node(given: Object) -> Node:
    labels = fields.strings(given, "metadata", "labels")
    spec = fields.mapping(given, "spec")
    addresses = [
        (fields.text(each, "type"), fields.text(each, "address"))
        for each in fields.items(given, "status", "addresses")
        if fields.text(each, "type") in _ADDRESSES and fields.text(each, "address")
    ]
    ranges = [each for each in fields.items(spec, "podCIDRs") if isinstance(each, str)]
    return Node(
        fields.text(given, "metadata", "name"),
        tuple(sorted(label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE))),
        tuple(address for _, address in sorted(addresses, key=lambda each: _ADDRESSES.index(each[0]))),
        fields.condition(given, "Ready"),
        not spec.get("unschedulable"),
        tuple(ranges or filter(None, [fields.text(spec, "podCIDR")])),
        fields.text(given, "status", "nodeInfo", "kubeletVersion"),
    )


_ADDRESSES = ("InternalIP", "ExternalIP")


def _pod(given: Object) -> Pod:
    ended = fields.text(given, "status", "phase") in _ENDED
    going = ended or bool(fields.mapping(given, "metadata").get("deletionTimestamp"))
    return Pod(
        fields.text(given, "metadata", "namespace"),
        "" if going else fields.text(given, "metadata", "name"),
        fields.text(given, "spec", "nodeName"),
        fields.condition(given, "Ready"),
        fields.strings(given, "metadata", "labels"),
        fields.text(given, "status", "podIP"),
    )


_ENDED = frozenset({"Succeeded", "Failed"})


def _postgres(given: Object, pods: Iterable[Object]) -> Postgres:
    namespace, name = fields.text(given, "metadata", "namespace"), fields.text(given, "metadata", "name")
    primary, target = fields.text(given, "status", "currentPrimary"), fields.text(given, "status", "targetPrimary")
    instances = sorted(
        fields.text(pod, "metadata", "name")
        for pod in pods
        if fields.text(pod, "metadata", "namespace") == namespace
        # Its poolers' pods have the label as well.
        and fields.strings(pod, "metadata", "labels").get(_CLUSTER_LABEL) == name
        and not fields.strings(pod, "metadata", "labels").get(POOLER_LABEL)
        and not any(fields.text(each, "kind") == "Job" for each in fields.items(pod, "metadata", "ownerReferences"))
    )
    return Postgres(
        namespace,
        name,
        primary if primary == target else "",
        tuple(filter(None, instances)),
        fields.whole(given, "spec", "instances") or 1,
        fields.whole(given, "status", "readyInstances"),
    )


def _pooler(given: Object) -> Pooler:
    return Pooler(
        fields.text(given, "metadata", "namespace"),
        fields.text(given, "metadata", "name"),
        fields.text(given, "spec", "cluster", "name"),
        fields.text(given, "spec", "type") or "rw",
    )


def _service(given: Object) -> Service:
    address = fields.text(given, "spec", "clusterIP")
    return Service(
        fields.text(given, "metadata", "namespace"),
        fields.text(given, "metadata", "name") if address not in {"", "None"} else "",
        address,
        tuple(filter(None, (fields.whole(each, "port") for each in fields.items(given, "spec", "ports")))),
        fields.strings(given, "metadata", "labels"),
    )


def _api(slices: Iterable[Object]) -> tuple[str, ...]:
    """Where the service ``kubernetes`` leads to."""
    found = set()
    for each in slices:
        if (
            fields.text(each, "metadata", "namespace"),
            fields.strings(each, "metadata", "labels").get(_SLICE_LABEL),
        ) != _API_SERVICE:
            continue
        ports = [port for port in (fields.whole(one, "port") for one in fields.items(each, "ports")) if port]
        for endpoint in fields.items(each, "endpoints"):
            addresses = [
                address for address in fields.items(endpoint, "addresses") if isinstance(address, str) and address
            ]
            found |= {at(address, port) for address in addresses for port in ports}
    return tuple(sorted(found))


_SLICE_LABEL = "kubernetes.io/service-name"
_API_SERVICE = ("default", "kubernetes")


def at(address: str, port: int) -> str:
    """An address and a port as one text; IPv6 goes into brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
