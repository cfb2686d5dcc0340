"""How k3s is told what to be: each node's ``config.yaml``, with k3s's own documented keys (docs.k3s.io). Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from drkit.lab.spec import Datastore
from drkit.lab.topology import DATABASE_PORT, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.lab.topology import Container, Topology

CONFIG = "/etc/rancher/k3s/config.yaml"
RESOLVER = "/etc/rancher/k3s/resolv.conf"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
API_PORT = 6443
DATABASE = "k3s"


def unit(node: Container) -> str:
    """The systemd unit that runs k3s on this node."""
    return "k3s" if node.role is Role.SERVER else "k3s-agent"


def settings(topology: Topology, node: Container, token: str, database_password: str = "") -> dict[str, Any]:
    """What k3s on ``node`` is told.

    Args:
        topology: the lab.
        node: one of its servers or agents.
        token: the cluster's secret.
        database_password: of the lab's PostgreSQL, where that is the datastore.
    """
    founder = topology.the(Role.SERVER)
    told: dict[str, Any] = {
        "token": token,
        "node-name": node.member,
        "node-ip": node.address,
        "resolv-conf": RESOLVER,
        # In a container some of the kernel's settings are the host's: the kubelet leaves them alone with this.
        "kubelet-arg": ["feature-gates=KubeletInUserNamespace=true"],
    }
    if node.role is Role.AGENT:
        return {"server": _api(founder), **told}
    # The real k3s would give the load balancer's ports to these; the sample workload brings an ingress of its own.
    told["disable"] = ["traefik", "servicelb"]
    told["tls-san"] = [server.address for server in topology.by_role(Role.SERVER)]
    match topology.spec.datastore:
        case Datastore.POSTGRES:
            address = topology.the(Role.DATABASE).address
            told["datastore-endpoint"] = f"postgres://postgres:{database_password}@{address}:{DATABASE_PORT}/{DATABASE}"
        case Datastore.ETCD if node == founder:
            told["cluster-init"] = True
        case Datastore.ETCD:
            told["server"] = _api(founder)
    return told


def render(told: Mapping[str, Any]) -> str:
    """The file: YAML, each value as JSON, which YAML takes as it is."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items())


def resolver(topology: Topology) -> str:
    """The pods' resolver: Docker's own, 127.0.0.11, answers only in the node itself."""
    return f"nameserver {topology.the(Role.DNS).address}\nsearch {topology.zone}\n"


def reachable(kubeconfig: str, topology: Topology) -> str:
    """A server's own kubeconfig, which names loopback, for use from elsewhere."""
    api = _api(topology.the(Role.SERVER))
    return kubeconfig.replace(f"https://127.0.0.1:{API_PORT}", api)


def _api(server: Container) -> str:
    return f"https://{server.address}:{API_PORT}"
