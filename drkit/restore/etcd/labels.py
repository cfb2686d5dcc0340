"""Labels and taints set with kubectl: which of them k3s is told, so that they are there from the start. Pure.

A node that joins gets pods at once: what keeps them away must be in its configuration. A kubelet may not give itself
every label: Kubernetes, "Admission Control", NodeRestriction; pkg/apis/core/v1/helper of k8s.io/kubernetes,
``kubelet/pkg/apis/well_known_labels.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KUBERNETES = ("kubernetes.io", "k8s.io")
_ALLOWED_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_ALLOWED = frozenset(
    {
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
    }
)
_BY_ITSELF = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/etcd",
        "node-role.kubernetes.io/master",
        "p2p.k3s.cattle.io/enabled",
    }
)
"""What kubelet and k3s put on a node themselves."""
_BY_ITSELF_DOMAINS = ("plan.upgrade.cattle.io", "instance.hetzner.cloud", "csi.hetzner.cloud")
_PASSING = ("node.kubernetes.io", "node.cloudprovider.kubernetes.io")
"""Domains of taints that the control plane sets and takes away."""


def divided(labels: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The labels that a node's configuration may hold, and those that only the API can set, without k3s's own."""
    configured: dict[str, str] = {}
    through_api: dict[str, str] = {}
    for name, value in sorted(labels.items()):
        domain = name.rpartition("/")[0]
        if name in _BY_ITSELF or _below(domain, _BY_ITSELF_DOMAINS):
            continue
        allowed = name in _ALLOWED or not _below(domain, _KUBERNETES) or _below(domain, _ALLOWED_DOMAINS)
        (configured if allowed else through_api)[name] = value
    return configured, through_api


def _below(domain: str, parents: Iterable[str]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)


def label_settings(labels: Mapping[str, str]) -> list[str]:
    """As ``node-label`` takes them."""
    return [f"{name}={value}" for name, value in sorted(labels.items())]


def taint_settings(taints: Iterable[Mapping[str, str]]) -> list[str]:
    """As ``node-taint`` takes them."""
    return [
        f"{taint['key']}={taint.get('value') or ''}:{taint['effect']}"
        for taint in taints
        if not _below(taint["key"].rpartition("/")[0], _PASSING)
    ]
