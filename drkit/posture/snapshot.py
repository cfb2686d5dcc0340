"""A cluster at one moment, as it was listed: live, or out of a recovery point. Plain values and where to look in them.

Nothing in it is secret: of Secrets, only certificates are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drkit.posture import objects as look

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.cluster.kube import Object

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
    "ingresses.networking.k8s.io",
    "leases.coordination.k8s.io",
    "helmchartconfigs.helm.cattle.io",
    "clusters.postgresql.cnpg.io",
    "poolers.postgresql.cnpg.io",
    "certificates.cert-manager.io",
)
"""What a snapshot holds: plural and group, as ``kubectl`` takes them."""
_SERVER_ROLES: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_ETCD_ROLE: Final = "node-role.kubernetes.io/etcd"


@dataclass(frozen=True)
class Snapshot:
    """What is known.

    Attributes:
        taken: when; in UTC.
        listed: the objects of each kind of ``KINDS`` that could be listed; one that lacks could not be, or is not
            served.
        topology: the document of the source ``topology``; empty where nothing is known.
        told: the words that k3s was started with, by node, where its annotation does not say.
    """

    taken: datetime
    listed: Mapping[str, tuple[Object, ...]]
    topology: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[Object, ...]:
        """The objects of a kind."""
        return self.listed.get(kind, ())

    def hetzner(self, collection: str) -> list[dict[str, Any]]:
        """The provider's things of a collection."""
        found = look.items(self.topology.get("hetzner"), collection)
        return [each for each in found if isinstance(each, dict)]

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


def nodes_of(pods: Iterable[Object]) -> tuple[str, ...]:
    """Where pods are, one for each that is somewhere."""
    return tuple(sorted(node for pod in pods if (node := look.text(pod, "spec", "nodeName"))))
