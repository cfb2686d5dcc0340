"""The cluster that most modules of the suite share, and what its pods are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.contract.k3s.machines import PROBE

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Node

SECRET = "a-token-for-tests"
TAINT = "node-role.kubernetes.io/control-plane=true:NoSchedule"

SNAPSHOTS = "/var/lib/rancher/k3s/server/db/snapshots"
OLD_SNAPSHOTS = ("etcd-snapshot-srv1-1700000000", "etcd-snapshot-srv1-1700000001")
"""What lies there before the server starts for the first time, and is not among the newest of its schedule soon."""


@dataclass(frozen=True)
class Cluster:
    """One server, and agents with the label ``tier=worker``."""

    server: Node
    agents: tuple[Node, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All its machines."""
        return (self.server, *self.agents)


def container(name: str, **more: object) -> dict[str, Any]:
    """A container of the suite's own image, which answers with ``name``."""
    return {
        "name": "probe",
        "image": PROBE,
        "imagePullPolicy": "Never",
        "env": [{"name": "NAME", "value": name}],
        **more,
    }


def pod(name: str, node: str) -> list[dict[str, Any]]:
    """A pod on a given node, and a service of the same name in front of it."""
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container(name)]}
    service = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service},
    ]


def pods_running(server: Node) -> set[str]:
    """The names of the pods that are ready."""
    return {
        item["metadata"]["name"]
        for item in server.get("pods")["items"]
        if any(each["ready"] for each in item["status"].get("containerStatuses", []))
    }


def ask(server: Node, source: str, url: str) -> str:
    """What a pod gets when it asks ``url``."""
    return server.kubectl("exec", source, "--", "/probe", "ask", url).output.strip()


def everyone_reaches_everyone(server: Node) -> bool:
    """Whether each pod gets an answer from each service, its own included (whose bare name is the pod itself)."""
    names = ("on-srv1", "on-w1", "on-w2")
    return all(ask(server, source, f"http://{target}.default/") == target for source in names for target in names)


def heartbeat(server: Node, name: str) -> str:
    """When the API server last heard of a node's kubelet; empty where that is not known."""
    found = server.kubectl("get", "lease", "--namespace=kube-node-lease", name, "--output=jsonpath={.spec.renewTime}")
    return found.output if found.good else ""
