"""A cluster at one moment, as it was listed: live, or out of a recovery point. Plain values and where to look in them.

Nothing in it is secret: of Secrets, only certificates are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.cluster.kube import Object, Resource
    from drkit.posture.drift import Found

INGRESSES: Final = "ingresses.networking.k8s.io"
KINDS: Final = (
    "nodes",
    "namespaces",
    "pods",
    "services",
    "configmaps",
    "persistentvolumes",
    "persistentvolumeclaims",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "poddisruptionbudgets.policy",
    INGRESSES,
    "leases.coordination.k8s.io",
    "helmchartconfigs.helm.cattle.io",
    "clusters.postgresql.cnpg.io",
    "poolers.postgresql.cnpg.io",
    "certificates.cert-manager.io",
)
"""What a snapshot holds: plural and group, as ``kubectl`` takes them."""
_SERVER_ROLES: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_ETCD_ROLE: Final = "node-role.kubernetes.io/etcd"


# What a snapshot may know beside objects. A rule that needs what is not known is not checked, and that is said.
PROVIDER, BALANCER, BACKUPS, ETCD, CERTIFICATES, REPLICATION, DRILLS, DATASTORE, SERVED, PATCHES = (
    "provider",
    "balancer",
    "backups",
    "etcd",
    "certificates",
    "replication",
    "drills",
    "datastore",
    "served",
    "patches",
)


NO_DRILL: Final = "no drill that was predicted is known on this machine"


def kind_of(resource: Resource) -> str:
    """A kind of the API, as ``KINDS`` names it."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


@dataclass(frozen=True)
class Etcd:
    """The database of a member of etcd: bytes on its disk, bytes of these in use, and the most that it may have."""

    node: str
    size: int
    in_use: int
    quota: int


@dataclass(frozen=True)
class Certificate:
    """A certificate: whose it is (``k3s``, ``etcd``, ``ingress``), where it was seen, and when it ends."""

    kind: str
    where: str
    expires: datetime


@dataclass(frozen=True)
class Lag:
    """How far a replica is behind its primary."""

    database: str
    instance: str
    seconds: float
    size: int
    """Bytes of WAL."""


@dataclass(frozen=True)
class Kept:
    """A source of the backup: age of its newest whole copy in seconds, the most that may be, and its last proof."""

    source: str
    age: float | None
    limit: float
    proven: datetime | None


@dataclass(frozen=True)
class Backups:
    """What is known of the backups.

    Attributes:
        sources: one by one.
        complete: whether the newest point is.
        verified: when a point was last verified at all.
        escrow: how many recipients can open an escrow bundle.
        places: where the vaults are: a provider's name, or a host.
        volumes: ``namespace/claim`` of those that no source covers.
        connections: names of databases that are dumped by a connection string, and the host and port in it.
    """

    sources: tuple[Kept, ...]
    complete: bool
    verified: datetime | None
    escrow: int
    places: tuple[str, ...]
    volumes: tuple[str, ...] = ()
    connections: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class Drilled:
    """What a past drill measured of a probe, beside what was predicted for it. Seconds."""

    run: str
    probe: str
    predicted: float
    predicted_error: float
    measured: float
    measured_error: float


@dataclass(frozen=True)
class Snapshot:
    """What is known.

    Attributes:
        taken: when; in UTC.
        listed: the objects of each kind of ``KINDS`` that could be listed; one that lacks could not be, or is not
            served.
        topology: the document of the source ``topology``; empty where nothing is known.
        told: the words that k3s was started with, by node, where its annotation does not say.
        datastore: what holds the cluster's state, as ``drkit.datastore.look.Kind`` names it; empty where not known.
        etcd: of each member that was asked; likewise ``certificates``, ``replication``, ``drills``.
        backups: None where nothing is known of them.
        patches: what `drkit harden --plan` says of each declared patch.
        unknown: what could not be found out, by the names above, and why.
    """

    taken: datetime
    listed: Mapping[str, tuple[Object, ...]]
    topology: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    datastore: str = ""
    etcd: tuple[Etcd, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    replication: tuple[Lag, ...] = ()
    backups: Backups | None = None
    drills: tuple[Drilled, ...] = ()
    patches: tuple[Found, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Object, ...]:
        """The objects of a kind."""
        return self.listed.get(kind, ())

    def hetzner(self, collection: str) -> list[dict[str, Any]]:
        """The provider's things of a collection."""
        found = look.items(self.topology.get("hetzner"), collection)
        return [each for each in found if isinstance(each, dict)]

    def without(self, names: Iterable[str], why: str) -> Snapshot:
        """The same, where these could not be found out."""
        return replace(self, unknown={**self.unknown, **dict.fromkeys(names, why)})

    def pods_of(self, namespace: str, selector: Mapping[str, Any]) -> list[Object]:
        """The pods of a namespace that a LabelSelector means, and that have not ended; none for one that is empty."""
        if not selector:
            return []
        return [
            pod
            for pod in self.of("pods")
            if look.namespace(pod) == namespace
            and look.text(pod, "status", "phase") not in {"Succeeded", "Failed"}
            and look.selects(selector, look.labels(pod))
        ]


def is_server(node: Object) -> bool:
    """Whether a Node runs the control plane."""
    return any(role in look.labels(node) for role in _SERVER_ROLES)


def is_etcd_member(node: Object) -> bool:
    """Whether a Node is a member of the embedded etcd: k3s labels those."""
    return _ETCD_ROLE in look.labels(node)


def addresses_of(thing: Any) -> set[str]:
    """The addresses of a provider's server or load balancer, public and private."""
    public = [look.text(thing, "public_net", family, "ip") for family in ("ipv4", "ipv6")]
    private = [look.text(each, "ip") for each in look.items(thing, "private_net")]
    return {*public, *private} - {""}


def nodes_of(pods: Iterable[Object]) -> tuple[str, ...]:
    """Where pods are, one for each that is somewhere."""
    return tuple(sorted(node for pod in pods if (node := look.text(pod, "spec", "nodeName"))))
