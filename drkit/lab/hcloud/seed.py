"""A lab as a Hetzner Cloud project: its nodes are the servers, its load balancer and its zone are there as well."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from drkit.errors import DrkitError
from drkit.lab import containers, machines, traffic
from drkit.lab.files import IMAGE, LOCATION, NODE_KEY, SERVER_TYPE, LabFiles
from drkit.lab.hcloud import balancers, servers, things, zones
from drkit.lab.hcloud.containers import LabMachines
from drkit.lab.hcloud.serve import serving
from drkit.lab.join import RUNNING
from drkit.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from drkit.lab.hcloud.project import Action, Project
    from drkit.lab.hcloud.serve import StandIn
    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter

NETWORK_ZONE, BALANCER_TYPE = "eu-central", "lb11"
_SECONDS = 60.0


@contextmanager
def serving_lab(
    engine: DockerClient,
    name: str,
    token: str,
    reporter: Reporter,
    address: str = "127.0.0.1",
    port: int = 0,
    images: Path | None = None,
) -> Iterator[StandIn]:
    """The stand-in over a lab that runs, for the time of the body. What was made by it stays in the lab afterwards.

    Args:
        engine: where the lab is.
        name: of the lab.
        token: who has it may do all.
        reporter: told of images that are built.
        address: where to listen; the lab's gateway, to be reached from its containers.
        port: likewise; 0 for any that is free.
        images: those of the workload in one archive, which each new server has on its disk.

    Raises:
        PreflightFailed: there is no such lab.
        DrkitError: the lab's containers do not let themselves be adopted.
    """
    lab = machines.lab_of(engine, name)
    with serving(LabMachines(engine, lab, reporter, images), token, address, port) as api:
        seed(api.project, engine, lab)
        yield api


def seed(project: Project, engine: DockerClient, lab: Topology) -> None:
    """Put the lab into a project, as if its owner had made it there.

    Raises:
        DrkitError: its containers do not let themselves be adopted.
    """
    directory = containers.directory_of(engine, lab.spec.name)
    if directory is None:
        raise DrkitError(f"the lab {lab.spec.name} has no network", "make it anew: drkit lab down, then up")
    with project.lock:
        # Half of it would turn away those who use the lab, and take its names from the DNS server before they are read.
        project.quiet = True
        subnet = {"type": "cloud", "ip_range": str(lab.subnet), "network_zone": NETWORK_ZONE}
        network = things.network(project, {"name": lab.network, "ip_range": str(lab.subnet), "subnets": [subnet]})
        public = LabFiles(directory).public_key(NODE_KEY)
        key = things.ssh_key(project, {"name": lab.network, "public_key": public})
        numbers = {}
        for node in lab.nodes:
            container = containers.get(engine, node.name)
            if container is None:
                continue
            body = {
                "name": node.member,
                "server_type": SERVER_TYPE,
                "image": IMAGE,
                "location": LOCATION,
                "networks": [network["id"]],
                "ssh_keys": [key["id"]],
                "labels": {"cluster": lab.spec.name, "role": str(node.role)},
                "start_after_create": container.status == RUNNING,
            }
            numbers[node.member] = servers.create(project, body)["server"]["id"]
        targets = [numbers[node.member] for node in lab.ingress if node.member in numbers]
        _balancer(project, engine, lab, network["id"], targets)
        _zone(project, engine, lab)
        project.quiet = False
    _finish(project)


def _balancer(project: Project, engine: DockerClient, lab: Topology, network: int, targets: list[int]) -> None:
    own = lab.the(Role.BALANCER)
    services = [
        {
            "protocol": "tcp",
            "listen_port": service.listen,
            "destination_port": service.destination,
            "proxyprotocol": service.proxy,
            "health_check": {
                "protocol": "tcp",
                "port": service.checked or service.destination,
                **asdict(service.check),
            },
        }
        for service in traffic.setting(engine.containers.get(own.name)).services
    ]
    body = {
        "name": own.member,
        "load_balancer_type": BALANCER_TYPE,
        "location": LOCATION,
        "services": services,
        "network": network,
        # From the beginning: a load balancer without targets would turn the lab's users away meanwhile.
        "targets": [{"type": "server", "server": {"id": each}, "use_private_ip": True} for each in targets],
    }
    balancers.create(project, body)


def _zone(project: Project, engine: DockerClient, lab: Topology) -> None:
    zone = zones.add_zone(project, lab.zone)
    there = traffic.answers(engine.containers.get(lab.the(Role.DNS).name))
    for name, values in there.records.items():
        if name.endswith(f".{lab.zone}"):
            records = [{"value": value} for value in values]
            label = name.removesuffix(f".{lab.zone}")
            zones.create(project, zone, {"name": label, "type": "A", "records": records})
            project.settle()


def _finish(project: Project) -> None:
    """Wait until what was begun has ended."""

    def done() -> bool:
        with project.lock:
            project.settle()
            return all(action.status != "running" for action in project.actions.values())

    containers.wait("the lab is not adopted", done, _SECONDS)
    failed: list[Action] = [action for action in project.actions.values() if action.status == "error"]
    if failed:
        raise DrkitError(f"the lab is not adopted: {failed[0].command}: {failed[0].error}")
