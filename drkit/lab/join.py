"""Makes a cluster of a lab's nodes: k3s on each, as its ``config.yaml`` says, until all of them are Ready."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drkit import process
from drkit.lab import cluster, containers
from drkit.lab.topology import Role
from drkit.state import write_durably

if TYPE_CHECKING:
    from collections.abc import Sequence

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.files import LabFiles
    from drkit.lab.topology import Container, Topology
    from drkit.observe.progress import Reporter

_READY_SECONDS = 300.0
RUNNING = "running"
"""What the engine says of a container that runs."""


def join(engine: DockerClient, lab: Topology, files: LabFiles, reporter: Reporter) -> None:
    """See that k3s runs on all nodes now and after each boot, and that the cluster counts all of them as Ready.

    Raises:
        DrkitError: it did not come to that; the message has what the cluster said last.
    """
    first = engine.containers.get(lab.the(Role.SERVER).name)

    def are_ready(nodes: Sequence[Container]) -> None:
        for node in nodes:
            _enable(engine, node)
        names = {node.member for node in nodes}
        containers.wait(
            f"{', '.join(sorted(names))} Ready",
            lambda: names <= set(_ready_nodes(first)),
            _READY_SECONDS,
            lambda: process.tail(_kubectl(first, "get", "nodes", "-o", "wide")[1]),
        )

    with reporter.task("starting the cluster"):
        # One server after the other: etcd takes in one new member at a time (its learner limit).
        for server in lab.by_role(Role.SERVER):
            are_ready([server])
        are_ready(lab.by_role(Role.AGENT))
    write_durably(files.kubeconfig, cluster.reachable(containers.fetch(first, cluster.KUBECONFIG), lab))


def _enable(engine: DockerClient, node: Container) -> None:
    # Not waited for: a server of several is ready only when others are.
    containers.run_in(
        engine.containers.get(node.name), "systemctl", "enable", "--now", "--no-block", cluster.unit(node)
    )


def _kubectl(server: docker.models.containers.Container, *words: str) -> tuple[int | None, str]:
    return containers.run_in(server, "k3s", "kubectl", *words)


def ready(engine: DockerClient, lab: Topology) -> list[str]:
    """The names of the nodes that the cluster counts as Ready; none where no server answers."""
    for server in lab.by_role(Role.SERVER):
        container = containers.get(engine, server.name)
        if container is not None and container.status == RUNNING and (found := _ready_nodes(container)):
            return found
    return []


def _ready_nodes(server: docker.models.containers.Container) -> list[str]:
    status, said = _kubectl(server, "get", "nodes", "-o", "json", "--request-timeout=5s")
    return ready_nodes(said) if status == 0 else []


def ready_nodes(listed: str) -> list[str]:
    """The names of the nodes that are Ready, from ``kubectl get nodes -o json``. Pure."""
    return [
        node["metadata"]["name"]
        for node in json.loads(listed)["items"]
        if any(
            condition["type"] == "Ready" and condition["status"] == "True" for condition in node["status"]["conditions"]
        )
    ]
