"""Whether the workload is healthy, from what the cluster lists. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab.workload.manifests import SITES

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = "deployments.apps,daemonsets.apps,clusters.postgresql.cnpg.io,poolers.postgresql.cnpg.io"
HEALTHY = "Cluster in healthy state"
"""CloudNativePG's word for it."""

DEPLOYMENTS = (*((site.name, site.name) for site in SITES), ("postgres", "main-db-pooler"), ("kube-system", "coredns"))
OPERATOR_NAMESPACE = "cnpg-system"


def problems(listed: Iterable[dict[str, Any]]) -> list[str]:
    """What is not as it should be; nothing where all is well."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): each for each in listed
    }
    operators = [key[1:] for key in found if key[:2] == ("Deployment", OPERATOR_NAMESPACE)]
    wanted = [("Deployment", *names) for names in (*DEPLOYMENTS, *operators)]
    wanted += [("DaemonSet", "kube-system", "ingress-stand-in"), ("Cluster", "postgres", "main-db")]
    said = [] if operators else ["there is no operator for PostgreSQL"]
    for key in wanted:
        thing = found.get(key)
        problem = "is not there" if thing is None else _problem(thing)
        if problem:
            said.append(f"{key[0]} {key[1]}/{key[2]} {problem}")
    return said


def _problem(thing: dict[str, Any]) -> str:
    spec, status = thing.get("spec", {}), thing.get("status", {})
    match thing["kind"]:
        case "Cluster":
            ready, wanted = status.get("readyInstances", 0), spec["instances"]
            phase = status.get("phase", "unknown")
            return "" if phase == HEALTHY and ready == wanted else f"is not healthy: {phase}, {ready} of {wanted} ready"
        case "DaemonSet":
            ready, wanted = status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
        case _:
            ready, wanted = status.get("readyReplicas", 0), spec.get("replicas", 1)
    observed = status.get("observedGeneration", 0) >= thing["metadata"].get("generation", 0)
    return "" if observed and wanted and ready >= wanted else f"has {ready} of {wanted} pods ready"
