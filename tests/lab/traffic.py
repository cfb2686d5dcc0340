"""What leads to a lab's machines, as its users see it."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

from drkit.lab import containers, resolve, traffic
from drkit.lab.topology import Role

if TYPE_CHECKING:
    from docker import DockerClient

    from drkit.lab.topology import Topology


def resolved(small: dict[str, Any], name: str) -> str:
    """What the lab's DNS server answers for a name over the network."""
    return resolve.address_of(name, small["dns"]["address"])


def page(small: dict[str, Any], path: str = "/") -> str:
    """What answers at the load balancer's port 80."""
    connection = http.client.HTTPConnection(small["load_balancer"]["address"], 80, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    except OSError as error:
        return str(error)
    finally:
        connection.close()


def everything(engine: DockerClient, topology: Topology) -> dict[str, Any]:
    """What there is of the lab, and where its load balancer sends traffic."""
    haproxy = engine.containers.get(topology.the(Role.BALANCER).name)
    dns = engine.containers.get(topology.the(Role.DNS).name)
    volumes = engine.volumes.list(filters={"label": f"dev.drkit.lab={topology.spec.name}"})
    return {
        "containers": containers.states(engine, topology.spec.name),
        "volumes": sorted(each.name for each in volumes),
        "targets": sorted(traffic.setting(haproxy).targets.values()),
        "records": dict(traffic.answers(dns).records),
    }
