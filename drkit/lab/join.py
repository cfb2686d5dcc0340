"""Makes a cluster of a lab's nodes: k3s on each, as its ``config.yaml`` says, until all of them are Ready."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import TYPE_CHECKING

from drkit import process
from drkit.lab import cluster, containers, inside
from drkit.lab.topology import Role
from drkit.state import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
            lambda: names <= set(_ready_nodes(engine, first, nodes)),
            _READY_SECONDS,
            lambda: process.tail(_kubectl(first, "get", "nodes", "-o", "wide")[1]),
            containers.ASK_SECONDS,
        )

    with reporter.task("starting the cluster"):
        # One server after the other: etcd takes in one new member at a time (its learner limit).
        for server in lab.by_role(Role.SERVER):
            are_ready([server])
        are_ready(lab.by_role(Role.AGENT))
    write_durably(files.kubeconfig, cluster.reachable(containers.fetch(first, cluster.KUBECONFIG), lab))


def _enable(engine: DockerClient, node: Container) -> None:
    # Not waited for: a server of several is ready only when others are.
    inside.run_in(engine.containers.get(node.name), "systemctl", "enable", "--now", "--no-block", cluster.unit(node))


def _kubectl(server: docker.models.containers.Container, *words: str) -> tuple[int | None, str]:
    return inside.run_in(server, "k3s", "kubectl", *words)


def ready(engine: DockerClient, lab: Topology) -> list[str]:
    """The names of the nodes that the cluster counts as Ready; none where no server answers."""
    for server in lab.by_role(Role.SERVER):
        container = containers.get(engine, server.name)
        if container is not None and container.status == RUNNING:
            found = _ready_nodes(engine, container, lab.nodes)
            if found:
                return found
    return []


def _ready_nodes(
    engine: DockerClient, server: docker.models.containers.Container, nodes: Iterable[Container]
) -> list[str]:
    status, said = _kubectl(server, "get", "nodes", "-o", "json", "--request-timeout=5s")
    if status != 0:
        return []
    heard = last_heard(said)
    return [node.member for node in nodes if node.member in heard and heard[node.member] > _started(engine, node)]


def _started(engine: DockerClient, node: Container) -> float:
    container = containers.get(engine, node.name)
    if container is None or container.status != RUNNING:
        return math.inf
    show = ("systemctl", "show", "--property=MainPID,ExecMainStartTimestamp", "--timestamp=unix", cluster.unit(node))
    return running_since(inside.run_in(container, *show)[1])


def running_since(shown: str) -> float:
    """When a unit's program was started, in seconds since 1970, from ``systemctl show``. Pure.

    Returns:
        Later than anything where it does not run.
    """
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    started = properties.get("ExecMainStartTimestamp", "").removeprefix("@")
    return float(started) if properties.get("MainPID", "0") != "0" and started else math.inf


def last_heard(listed: str) -> dict[str, float]:
    """The nodes that are Ready, and when each said so last, from ``kubectl get nodes -o json``. Pure.

    The API server goes on counting a node as Ready until its grace period ends, also while it is off: what was said
    before a start says nothing of it. A kubelet reports as soon as it is there, at changes, and every five minutes.

    Returns:
        For each name the second, since 1970.
    """
    return {
        node["metadata"]["name"]: datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp()
        for node in json.loads(listed)["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
