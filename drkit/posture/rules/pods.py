"""What rules about workloads share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster import fields as look
from drkit.posture.reading.workloads import RUNNING, is_ingress, replicas
from drkit.posture.rules.rule import Fix, applied
from drkit.posture.snapshot import is_server, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.cluster.kube import Object
    from drkit.posture.rules.rule import Seen
    from drkit.posture.snapshot import Snapshot

HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Running:
    """A workload as it was listed.

    Attributes:
        labels: of its pods.
        nodes: where they are.
    """

    kind: str
    namespace: str
    name: str
    replicas: int
    obj: Object
    spec: dict[str, Any]
    labels: dict[str, str]
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def role(self) -> str:
        """``dns``, ``operator``, ``ingress``, or empty: what the whole cluster leans on."""
        if self.namespace == "kube-system" and self.labels.get("k8s-app") == "kube-dns":
            return "dns"
        if self.labels.get("app.kubernetes.io/name") in {"cloudnative-pg", "cnpg-stand-in"}:
            return "operator"
        if look.labels(self.obj).get("app.kubernetes.io/name") in {"cloudnative-pg", "cnpg-stand-in"}:
            return "operator"
        return "ingress" if is_ingress(self.obj) else ""

    def patched(self, how: str, pod: Mapping[str, Any], **spec: Any) -> Fix:
        """A patch of its pods' spec, and of its own."""
        template = {"template": {"spec": pod}} if pod else {}
        patch = applied("apps/v1", self.kind, self.namespace, self.name, spec={**spec, **template})
        return Fix(how, patch, "apply")


def running(seen: Seen, *kinds: str) -> Iterator[Running]:
    """The workloads that want pods; those that an operator makes (poolers) have rules of their own."""
    for listed, kind in RUNNING.items():
        for obj in seen.snapshot.of(listed) if kind in kinds or not kinds else ():
            if _pooler(obj) or not (count := replicas(kind, obj)):
                continue
            selector = look.mapping(obj, "spec", "selector")
            yield Running(
                kind=kind,
                namespace=look.namespace(obj),
                name=look.name(obj),
                replicas=count,
                obj=obj,
                spec=look.mapping(obj, "spec", "template", "spec"),
                labels=_labels(obj),
                nodes=nodes_of(seen.snapshot.pods_of(look.namespace(obj), selector)),
            )


def _labels(obj: Object) -> dict[str, str]:
    found = look.mapping(obj, "spec", "template", "metadata", "labels")
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _pooler(obj: Object) -> bool:
    return "cnpg.io/poolerName" in look.labels(obj)


def places(snapshot: Snapshot) -> int:
    """How many nodes take workloads: those without a taint that keeps pods off for good."""
    return sum(not _kept_off(node) for node in snapshot.of("nodes"))


def _kept_off(node: Object) -> bool:
    own = [
        each
        for each in look.items(node, "spec", "taints")
        if not look.text(each, "key").startswith("node.kubernetes.io/")
    ]
    return any(look.text(each, "effect") in {"NoSchedule", "NoExecute"} for each in own)


def takes_workloads(node: Object) -> bool:
    """Whether a server takes workloads as well."""
    return is_server(node) and not _kept_off(node)


def spread(labels: Mapping[str, str]) -> dict[str, Any]:
    """Pods on different nodes where that is possible."""
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": HOSTNAME,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(labels)},
            }
        ]
    }
