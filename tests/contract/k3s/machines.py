"""The machines of one session of the contract suite, and their network; all of it carries the session's pid."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.lab import containers
from drkit.lab.k3s.given import BINARY_VARIABLE
from drkit.lab.placed import Placed
from drkit.lab.topology import CAPABILITIES
from drkit.state import exclusive
from tests.contract.k3s.nodes import Node, at_once, docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network

    from docker import DockerClient
    from docker.models.containers import Container

PROBE = "localhost/drkit-tests/probe:1"
"""The image of the suite's pods: it says who it is, and asks others who they are."""

REAL = bool(os.environ.get(BINARY_VARIABLE))
"""Whether the real k3s runs on the machines: the suite is the same, apart from what one of the two alone does."""

_LABEL = "drkit-tests.k3s"
_IMAGES = "/var/lib/rancher/k3s/agent/images"
_FIRST_ADDRESS = 10
_REMOVAL_SECONDS = 120.0


@dataclass(frozen=True)
class Machines:
    """What machines are made of. An address is used once: whoever comes later has another.

    Attributes:
        engine: where they run.
        subnet: their network's.
        image: of a node, with k3s.
        capabilities: what a node needs beyond a lab's usual ones.
        probe: the file of the pods' image.
    """

    engine: DockerClient
    subnet: IPv4Network
    image: str
    capabilities: tuple[str, ...]
    probe: Path
    _names: list[str] = field(default_factory=list)

    def add(self, *names: str) -> list[Node]:
        """Boot machines of these names, side by side."""
        nodes = [self._next(name) for name in names]
        at_once(self._boot, nodes)
        return nodes

    def add_database(self, image: str, password: str) -> str:
        """Start the lab's PostgreSQL, and return its address."""
        database = self._next("database")
        made = self._create(database, image, {"data": "/var/lib/postgresql"})
        containers.place(made, [Placed("/etc/lab/password", password + "\n")])
        made.start()
        return database.address

    def remove(self, *nodes: Node) -> None:
        """Take machines away, with all they had."""
        for node in nodes:
            self.engine.containers.get(node.container).remove(force=True, v=True)
            for volume in self.engine.volumes.list(filters={"name": node.container}):
                volume.remove()

    def _next(self, name: str) -> Node:
        number = len(self._names)
        self._names.append(name)
        return Node(f"{network_name()}-{number}-{name}", name, str(self.subnet[_FIRST_ADDRESS + number]))

    def _boot(self, node: Node) -> None:
        machine = self._create(
            node,
            self.image,
            {"var": "/var", "rancher": "/etc/rancher"},
            hostname=node.name,
            cgroupns="private",
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "exec", "/run/lock": "", "/tmp": ""},
            cap_add=[*CAPABILITIES, *self.capabilities],
        )
        machine.start()
        node.wait_for_boot()
        node.ok("mkdir", "-p", _IMAGES)
        docker("cp", str(self.probe), f"{node.container}:{_IMAGES}/probe.tar")

    def _create(self, node: Node, image: str, volumes: Mapping[str, str], **more: Any) -> Container:
        mine = {_LABEL: str(os.getpid())}
        for volume in volumes:
            self.engine.volumes.create(f"{node.container}-{volume}", labels=mine)
        endpoint = self.engine.api.create_endpoint_config(ipv4_address=node.address)
        made: Container = self.engine.containers.create(
            image,
            name=node.container,
            labels=mine,
            network=network_name(),
            networking_config={network_name(): endpoint},
            volumes={f"{node.container}-{volume}": {"bind": path, "mode": "rw"} for volume, path in volumes.items()},
            **more,
        )
        return made


def network_name() -> str:
    """The name of the session's network, which all its machines' names begin with."""
    return f"drkit-test-{os.getpid()}"


@contextmanager
def network(engine: DockerClient) -> Iterator[IPv4Network]:
    """A network for the session, which takes all its machines with it; what killed sessions left is removed first."""
    with exclusive("k3s-suite-left-over", "removing what is left over", _REMOVAL_SECONDS, RuntimeError, print):
        for owner in containers.labs(engine, _LABEL):
            if not Path("/proc", owner).exists():
                containers.remove(engine, owner, _LABEL)
    try:
        yield containers.create_network(engine, network_name(), {_LABEL: str(os.getpid())})
    finally:
        containers.remove(engine, str(os.getpid()), _LABEL)
