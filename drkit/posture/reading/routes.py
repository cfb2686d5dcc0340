"""Which workload answers for a name, by the cluster's Ingress objects. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.cluster import fields as look
from drkit.posture.reading.workloads import RUNNING
from drkit.posture.settings import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object
    from drkit.posture.snapshot import Snapshot


def routes(snapshot: Snapshot) -> tuple[Route, ...]:
    """All of them, the longest path first."""
    services = {(look.namespace(each), look.name(each)): each for each in snapshot.of("services")}
    found = set()
    for ingress in snapshot.of("ingresses.networking.k8s.io"):
        for host, path, name in _backends(ingress):
            service = services.get((look.namespace(ingress), name))
            behind = None if service is None else workload_of(snapshot, service)
            if behind is not None:
                found.add(Route(host, path, f"{look.namespace(behind)}/{look.name(behind)}"))
    return tuple(sorted(found, key=lambda each: (-len(each.path), each.host, each.workload)))


def _backends(ingress: Object) -> Iterator[tuple[str, str, str]]:
    for rule in look.items(ingress, "spec", "rules"):
        for path in look.items(rule, "http", "paths"):
            yield look.text(rule, "host"), look.text(path, "path") or "/", look.text(path, "backend", "service", "name")
    yield "", "/", look.text(ingress, "spec", "defaultBackend", "service", "name")


def workload_of(snapshot: Snapshot, service: Object) -> Object | None:
    """The workload whose pods a Service means."""
    selector: dict[str, Any] = look.mapping(service, "spec", "selector")
    for kind in RUNNING if selector else ():
        for obj in snapshot.of(kind):
            labels = look.mapping(obj, "spec", "template", "metadata", "labels")
            if look.namespace(obj) == look.namespace(service) and look.selects({"matchLabels": selector}, labels):
                return obj
    return None
