"""The machines of the suite, the image of its pods, and the cluster that most modules share."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.lab import nodes as node_images
from drkit.lab.build import ensure_base
from drkit.lab.k3s import build, images
from drkit.lab.k3s.given import BINARY_VARIABLE, IMAGES_VARIABLE, given
from drkit.lab.k3s.recipe import Module
from drkit.lab.recipes import BASE
from drkit.observe.progress import PlainReporter
from tests.contract.k3s import machines as suite
from tests.contract.k3s.cluster import OLD_SNAPSHOTS, SECRET, SNAPSHOTS, TAINT, Cluster, pod, pods_running
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node


@pytest.fixture(scope="session")
def machines(docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A network without machines, and what they are made of: the lab's node image, with the given k3s or without."""
    reporter = PlainReporter()
    named = [os.environ.get(variable) for variable in (BINARY_VARIABLE, IMAGES_VARIABLE)]
    k3s = given(*(Path(name) if name else None for name in named))
    image = node_images.ensure_node(docker_engine, k3s, reporter)
    ensure_base(docker_engine, reporter)
    program = build.build(reporter.note, BASE, [Module("probe", (), place=Path(__file__).parent)]).programs["probe"]
    archive = tmp_path_factory.mktemp("probe") / "probe.tar"
    images.write(images.Image(suite.PROBE, (("/probe", program),), ("/probe",)), archive, platform.machine())
    with suite.network(docker_engine) as subnet:
        yield suite.Machines(docker_engine, subnet, image, node_images.more_capabilities(k3s), archive)


@pytest.fixture(scope="session")
def cluster(machines: Machines) -> Cluster:
    """A server and two agents that have joined it, shared by the session; each test leaves them as it found them."""
    first, *agents = machines.add("srv1", "w1", "w2")
    for old in OLD_SNAPSHOTS:
        first.write(f"{SNAPSHOTS}/{old}", "of an earlier life")
    often = {"etcd_snapshot_schedule_cron": "* * * * *", "etcd_snapshot_retention": 2}
    first.configure(cluster_init=True, token=SECRET, node_taint=[TAINT], **often)
    first.start()
    for agent in agents:
        agent.join(first, SECRET, node_label=["tier=worker"])
    until(lambda: first.ready_nodes() == {"srv1", "w1", "w2"}, what="three ready nodes")
    return Cluster(first, tuple(agents))


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> Node:
    """The shared cluster's server."""
    return cluster.server


@pytest.fixture(scope="session")
def talking(server: Node) -> Node:
    """The same, with a pod on every node, each with a service."""
    for name in ("srv1", "w1", "w2"):
        server.apply(*pod(f"on-{name}", name))
    until(lambda: {"on-srv1", "on-w1", "on-w2"} <= pods_running(server), what="a running pod on each node")
    return server
