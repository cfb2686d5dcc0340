"""Ways in which a cluster is spoilt for a test, and how a rule is broken by them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.unit.posture_cluster import workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.posture.snapshot import Snapshot
    from tests.unit.posture_cluster import Objects

    Project = dict[str, list[dict[str, Any]]]


def nothing(_: Any) -> None:
    """Leave it."""


@dataclass(frozen=True)
class Case:
    """How a rule is broken, and whom it then names."""

    rule: str
    named: tuple[str, ...]
    objects: Callable[[Objects], object] = nothing
    project: Callable[[Project], object] = nothing
    known: Callable[[Snapshot], Snapshot] = lambda found: found


def put(kind: str, *objects: dict[str, Any]) -> Callable[[Objects], None]:
    """Add objects."""

    def change(listed: Objects) -> None:
        listed.setdefault(kind, []).extend(objects)

    return change


def both(*changes: Callable[[Objects], None]) -> Callable[[Objects], None]:
    """One change after the other."""

    def change(listed: Objects) -> None:
        for each in changes:
            each(listed)

    return change


def deployment(name: str) -> Callable[[Objects], dict[str, Any]]:
    """The Deployment of that name."""
    return lambda listed: next(each for each in listed["deployments.apps"] if each["metadata"]["name"] == name)


def pod_spec(name: str, **fields: Any) -> Callable[[Objects], None]:
    """Change the pods of a Deployment; a field that is None is taken away."""

    def change(listed: Objects) -> None:
        spec = deployment(name)(listed)["spec"]["template"]["spec"]
        for key, value in fields.items():
            if value is None:
                spec.pop(key, None)
            else:
                spec[key] = value

    return change


def container(name: str, **fields: Any) -> Callable[[Objects], None]:
    """Change a Deployment's container, likewise."""

    def change(listed: Objects) -> None:
        first = deployment(name)(listed)["spec"]["template"]["spec"]["containers"][0]
        for key, value in fields.items():
            if value is None:
                first.pop(key, None)
            else:
                first[key] = value

    return change


def scaled(name: str, count: int) -> Callable[[Objects], None]:
    """A Deployment with so many replicas."""

    def change(listed: Objects) -> None:
        deployment(name)(listed)["spec"]["replicas"] = count

    return change


def moved(app: str, where: str) -> Callable[[Objects], None]:
    """All pods with this label are on one node."""

    def change(listed: Objects) -> None:
        for each in listed["pods"]:
            if app in each["metadata"]["labels"].values():
                each["spec"]["nodeName"] = where

    return change


def cluster(**spec: Any) -> Callable[[Objects], None]:
    """Change the cluster of PostgreSQL."""

    def change(listed: Objects) -> None:
        listed["clusters.postgresql.cnpg.io"][0]["spec"] |= spec

    return change


def pooler(**spec: Any) -> Callable[[Objects], None]:
    """Change its pooler."""

    def change(listed: Objects) -> None:
        listed["poolers.postgresql.cnpg.io"][0]["spec"] |= spec

    return change


def instance_missing(listed: Objects) -> None:
    """One of its instances is not ready."""
    listed["clusters.postgresql.cnpg.io"][0]["status"]["readyInstances"] = 1


def dumped_from(host: str, port: int) -> Callable[[Snapshot], Snapshot]:
    """A database that is dumped by a connection string."""
    return kept(connections=(("docfast", host, port),))


def nodes(*wanted: dict[str, Any]) -> Callable[[Objects], None]:
    """Other nodes."""

    def change(listed: Objects) -> None:
        listed["nodes"] = list(wanted)

    return change


def kubelet(name: str, version: str) -> Callable[[Objects], None]:
    """A node with this version."""

    def change(listed: Objects) -> None:
        each = next(each for each in listed["nodes"] if each["metadata"]["name"] == name)
        each["status"]["nodeInfo"]["kubeletVersion"] = version

    return change


def away(*names: str) -> Callable[[Objects], None]:
    """Nodes that are not ready."""

    def change(listed: Objects) -> None:
        for each in listed["nodes"]:
            if each["metadata"]["name"] in names:
                each["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]

    return change


def told(words: list[str]) -> Callable[[Objects], None]:
    """What k3s was told on every server."""

    def change(listed: Objects) -> None:
        for each in listed["nodes"]:
            if "node-role.kubernetes.io/etcd" in each["metadata"]["labels"]:
                each["metadata"]["annotations"]["k3s.io/node-args"] = json.dumps(["server", *words])

    return change


def health(**checked: int) -> Callable[[Project], None]:
    """How the load balancer checks."""

    def change(project: Project) -> None:
        for each in project["load_balancers"][0]["services"]:
            each["health_check"] |= checked

    return change


def servers(**fields: Any) -> Callable[[Project], None]:
    """All of the provider's servers alike."""

    def change(project: Project) -> None:
        for each in project["servers"]:
            each.update(fields)

    return change


def let_in(port: str, protocol: str = "tcp") -> Callable[[Project], None]:
    """A firewall that lets the world in."""

    def change(project: Project) -> None:
        rule = {"direction": "in", "protocol": protocol, "port": port, "source_ips": ["0.0.0.0/0"]}
        project["firewalls"][0]["rules"].append(rule)
        project["firewalls"][0]["applied_to"] = [{"type": "server", "server": {"id": 2}}]
        project["firewalls"].append(
            {
                "id": 2,
                "rules": [],
                "applied_to": [{"type": "label_selector", "label_selector": {"selector": "!elsewhere"}}],
            }
        )

    return change


def target(*ids: int) -> Callable[[Project], None]:
    """The load balancer's targets."""

    def change(project: Project) -> None:
        project["load_balancers"][0]["targets"] = [{"type": "server", "server": {"id": each}} for each in ids]

    return change


def record(**fields: Any) -> Callable[[Project], None]:
    """The record that leads to the load balancer."""

    def change(project: Project) -> None:
        project["zones"][0]["rrsets"][0] |= fields

    return change


def proxied(project: Project) -> None:
    """A load balancer that speaks PROXY protocol."""
    for each in project["load_balancers"][0]["services"]:
        each["proxyprotocol"] = True


def kept(**fields: Any) -> Callable[[Snapshot], Snapshot]:
    """What is known of the backups, changed."""

    def change(known: Snapshot) -> Snapshot:
        assert known.backups is not None
        return replace(known, backups=replace(known.backups, **fields))

    return change


def seen(**fields: Any) -> Callable[[Snapshot], Snapshot]:
    """Other facts."""
    return lambda known: replace(known, **fields)


def alone(name: str, app: str) -> Callable[[Objects], None]:
    """One replica, on one node."""

    def change(listed: Objects) -> None:
        scaled(name, 1)(listed)
        first = next(each for each in listed["pods"] if app in each["metadata"]["labels"].values())
        listed["pods"] = [each for each in listed["pods"] if app not in each["metadata"]["labels"].values()] + [first]

    return change


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "docfast"}, "data": data}


def nginx() -> dict[str, Any]:
    """An ingress of one replica, on the nodes' own ports."""
    made = workload("Deployment", "ingress-nginx", "controller", 1)
    made["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 443, "hostPort": 443}]
    return made
