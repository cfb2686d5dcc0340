"""The cluster that the modules of this directory share, and pods on it; both are gone before other machines come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import OLD_SNAPSHOTS, SECRET, SNAPSHOTS, TAINT, Cluster, pod, pods_running
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node


@pytest.fixture(scope="package")
def cluster(machines: Machines) -> Iterator[Cluster]:
    """A server and two agents that have joined it; each test leaves them as it found them."""
    first, *agents = machines.add("srv1", "w1", "w2")
    for old in OLD_SNAPSHOTS:
        first.write(f"{SNAPSHOTS}/{old}", "of an earlier life")
    often = {"etcd_snapshot_schedule_cron": "* * * * *", "etcd_snapshot_retention": 2}
    first.configure(cluster_init=True, token=SECRET, node_taint=[TAINT], **often)
    first.start()
    for agent in agents:
        agent.join(first, SECRET, node_label=["tier=worker"])
    until(lambda: first.ready_nodes() == {"srv1", "w1", "w2"}, what="three ready nodes")
    yield Cluster(first, tuple(agents))
    machines.remove(first, *agents)


@pytest.fixture(scope="package")
def server(cluster: Cluster) -> Node:
    """The shared cluster's server."""
    return cluster.server


@pytest.fixture(scope="package")
def talking(server: Node) -> Node:
    """The same, with a pod on every node, each with a service."""
    for name in ("srv1", "w1", "w2"):
        server.apply(*pod(f"on-{name}", name))
    until(lambda: {"on-srv1", "on-w1", "on-w2"} <= pods_running(server), what="a running pod on each node")
    return server
