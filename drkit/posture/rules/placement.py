"""Where pods are, and what keeps them apart. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.rules.pods import HOSTNAME, places, running, spread, takes_workloads
from drkit.posture.rules.rule import CNPG, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, applied, page

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNBOOK: Final = page("placement")
_TOPOLOGIES: Final = frozenset({HOSTNAME, "topology.kubernetes.io/zone"})


def _together(seen: Seen) -> Iterator[Finding]:
    for each in running(seen, "Deployment", "StatefulSet"):
        if len(each.nodes) > 1 and len(set(each.nodes)) == 1 and places(seen.snapshot) > 1:
            yield Finding(
                str(each),
                f"all {len(each.nodes)} pods are on {each.nodes[0]}: its loss is the loss of all of them",
                each.patched("spread the pods, then restart the rollout", spread(each.labels)),
                seconds=None,
            )


def _unspread(seen: Seen) -> Iterator[Finding]:
    for each in running(seen, "Deployment", "StatefulSet"):
        if each.replicas > 1 and not kept_apart(each.spec, each.labels) and places(seen.snapshot) > 1:
            yield Finding(
                str(each),
                f"nothing keeps its {each.replicas} pods on different nodes: where they are now is luck",
                each.patched("spread the pods over nodes", spread(each.labels)),
            )


def kept_apart(spec: Any, labels: dict[str, str]) -> bool:
    """Whether pods with these labels avoid each other's nodes, be it as a wish or as a condition."""
    spreads = look.items(spec, "topologySpreadConstraints")
    anti = look.mapping(spec, "affinity", "podAntiAffinity")
    terms = [
        *look.items(anti, "requiredDuringSchedulingIgnoredDuringExecution"),
        *(
            look.at(each, "podAffinityTerm")
            for each in look.items(anti, "preferredDuringSchedulingIgnoredDuringExecution")
        ),
    ]
    return any(
        look.text(each, "topologyKey") in _TOPOLOGIES and look.selects(look.mapping(each, "labelSelector"), labels)
        for each in (*spreads, *terms)
    )


def _databases(seen: Seen) -> Iterator[Finding]:
    for cluster in seen.snapshot.of("clusters.postgresql.cnpg.io"):
        affinity = look.mapping(cluster, "spec", "affinity")
        allowed = look.at(affinity, "enablePodAntiAffinity") is False
        if allowed and (look.number(cluster, "spec", "instances") or 1) > 1:
            namespace, name = look.namespace(cluster), look.name(cluster)
            wished = {"affinity": {"enablePodAntiAffinity": True, "podAntiAffinityType": "required"}}
            yield Finding(
                f"Cluster {namespace}/{name}",
                "its instances may share a node: with local volumes that node's loss is the loss of the data",
                Fix("keep its instances on different nodes", _of_cluster(namespace, name, wished), "apply"),
                data="all since the last backup",
            )


def _of_cluster(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return applied(CNPG, "Cluster", namespace, name, spec=spec)


def _poolers(seen: Seen) -> Iterator[Finding]:
    for each in seen.settings.poolers:
        if len(each.nodes) > 1 and len(set(each.nodes)) == 1:
            labels = {"cnpg.io/poolerName": each.name}
            term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": labels}}
            anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
            # A Pooler's template has to have containers.
            template = {"spec": {"containers": [], "affinity": anti}}
            patch = applied(CNPG, "Pooler", each.namespace, each.name, spec={"template": template})
            yield Finding(
                f"Pooler {each.namespace}/{each.name}",
                f"all {len(each.nodes)} instances are on {each.nodes[0]}",
                Fix("keep its instances on different nodes", patch, "apply"),
            )


def _on_servers(seen: Seen) -> Iterator[Finding]:
    agents = len(seen.settings.agents)
    for node in seen.snapshot.of("nodes"):
        if agents and takes_workloads(node):
            name = look.name(node)
            yield Finding(
                f"Node {name}",
                "it runs the control plane and takes workloads: what eats its memory takes the API away",
                Fix(
                    "keep workloads off",
                    {"node-taint": ["node-role.kubernetes.io/control-plane=true:NoSchedule"]},
                    "k3s",
                ),
            )


RULES: Final = (
    Rule("pods-on-one-node", HIGH, "All pods of a workload are on one node", _RUNBOOK, _together),
    Rule("no-spread", MEDIUM, "Nothing keeps a workload's pods apart", _RUNBOOK, _unspread),
    Rule("instances-may-share-a-node", HIGH, "PostgreSQL instances may share a node", _RUNBOOK, _databases),
    Rule("poolers-on-one-node", HIGH, "All instances of a pooler are on one node", _RUNBOOK, _poolers),
    Rule("server-takes-workloads", LOW, "A server takes workloads", _RUNBOOK, _on_servers),
)
