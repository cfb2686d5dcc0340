"""A restore on another machine with another address: how it succeeds, and the documented ways in which it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import SECRET, SNAPSHOTS, heartbeat
from tests.contract.k3s.nodes import docker, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contract.k3s.cluster import Cluster
    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node, Result

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]

SNAPSHOT = "/var/lib/rancher/snapshot"
DIFFERENT = "bootstrap data already found and encrypted with different token"


@pytest.fixture(scope="module")
def snapshot(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A snapshot of the shared cluster, whose machines stand still meanwhile, as good as lost."""
    lost = cluster.server
    lost.ok("k3s", "kubectl", "create", "configmap", "kept", "--from-literal=key=value")
    lost.ok("k3s", "etcd-snapshot", "save", "--name", "point")
    lost.ok("k3s", "kubectl", "delete", "configmap", "kept")
    path = tmp_path_factory.mktemp("snapshot") / "snapshot"
    found = lost.sh(f"ls {SNAPSHOTS}/point-*")
    docker("cp", f"{lost.container}:{found}", str(path))
    machines = [node.container for node in cluster.nodes]
    docker("pause", *machines)
    yield path
    docker("unpause", *machines)
    before = {node.name: heartbeat(lost, node.name) for node in cluster.nodes}
    until(lambda: all(heartbeat(lost, name) > beat for name, beat in before.items()), what="the cluster's return")
    until(lambda: lost.ready_nodes() == set(before), what="its nodes' readiness")


@pytest.fixture(scope="module")
def fresh(machines: Machines, snapshot: Path) -> Iterator[dict[str, Node]]:
    """New machines with other addresses, and the snapshot on each; one is named as the lost server was."""
    made = machines.add("refused", "earlier", "srv9", "srv1", "w1")
    for node in made:
        node.configure(cluster_init=True)
        docker("cp", str(snapshot), f"{node.container}:{SNAPSHOT}")
    yield {node.name: node for node in made}
    machines.remove(*made)


def reset(node: Node, *more: str) -> Result:
    """Restore the snapshot."""
    return node.run("k3s", "server", "--cluster-reset", f"--cluster-reset-restore-path={SNAPSHOT}", *more)


def has_kept(node: Node) -> bool:
    """Whether the object of the lost cluster is there."""
    found = node.kubectl("get", "configmap/kept", "--output=jsonpath={.data.key}")
    return found.good and found.output == "value"


def restart_as(node: Node, **settings: object) -> None:
    """Let a restored server run, and count nodes as lost that say nothing for so long as it takes to say something."""
    soon = ["node-monitor-grace-period=16s"]
    node.configure(cluster_init=True, token=SECRET, kube_controller_manager_arg=soon, **settings)
    node.start()
    until(lambda: has_kept(node), what="the restored object")


def test_the_objects_come_back_under_another_address(fresh: dict[str, Node]) -> None:
    """With the old token a snapshot is restored on another machine: objects, CA and token are the old ones."""
    node = fresh["srv9"]
    done = reset(node, f"--token={SECRET}")
    assert done.good, done.output
    assert "restart without --cluster-reset flag now" in done.output
    assert node.sh("test -e /var/lib/rancher/k3s/server/db/reset-flag && echo there") == "there"

    again = reset(node, f"--token={SECRET}")
    assert not again.good
    assert "reset-flag" in again.output

    restart_as(node)
    until(lambda: "srv9" in node.ready_nodes(), what="the new node")
    assert not node.run("test", "-e", "/var/lib/rancher/k3s/server/db/reset-flag").good
    assert node.sh("cat /var/lib/rancher/k3s/server/token").endswith(f"::server:{SECRET}")
    stale = {item["metadata"]["name"] for item in node.get("nodes")["items"]}
    assert stale == {"srv1", "w1", "w2", "srv9"}

    agent = fresh["w1"]
    agent.join(node, SECRET)
    until(lambda: "Node password rejected" in agent.log("k3s-agent"), what="the refusal of the new machine")
    until(lambda: node.ready_nodes() == {"srv9"}, what="the lost nodes being seen as lost")
    node.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/w1.node-password.k3s")
    until(lambda: node.ready_nodes() == {"srv9", "w1"}, what="the agent under its old name")
    node.power_off()
    agent.power_off()


def test_a_server_under_its_old_name_needs_its_password_forgotten(fresh: dict[str, Node]) -> None:
    """A restored server that takes the lost one's name runs no pods until the old password's secret is deleted."""
    node = fresh["srv1"]
    assert reset(node, f"--token={SECRET}").good
    restart_as(node)
    until(lambda: refused_password(node), what="the refusal")
    node.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/srv1.node-password.k3s")
    started = heartbeat(node, "srv1")
    until(lambda: heartbeat(node, "srv1") > started, what="the server's own node")
    until(lambda: "srv1" in node.ready_nodes(), what="its readiness")
    node.power_off()


def refused_password(node: Node) -> bool:
    """Whether k3s says that the node's password is not the one it knows."""
    said = node.log()
    return "Node password rejected" in said or "hash does not match" in said


@pytest.mark.parametrize("token", ["--token=another-token", ""], ids=["another", "none"])
def test_without_the_old_token_nothing_is_restored(fresh: dict[str, Node], token: str) -> None:
    """The identity in a snapshot opens with the token that was in force; with another, or none, the reset fails."""
    node = untouched(fresh)
    refused = reset(node, *filter(None, [token]))
    assert not refused.good
    assert DIFFERENT in refused.output


def test_a_missing_snapshot_is_named(fresh: dict[str, Node]) -> None:
    """A reset from a file that is not there fails, and leaves no flag behind."""
    node = untouched(fresh)
    refused = node.run("k3s", "server", "--cluster-reset", "--cluster-reset-restore-path=/nowhere", f"--token={SECRET}")
    assert not refused.good
    assert "/nowhere" in refused.output
    assert not node.run("test", "-e", "/var/lib/rancher/k3s/server/db/reset-flag").good


def untouched(fresh: dict[str, Node]) -> Node:
    """A machine that k3s never ran on, and without what a refused reset has left there."""
    fresh["refused"].sh("rm -rf /var/lib/rancher/k3s/server")
    return fresh["refused"]


def test_the_ca_of_an_earlier_cluster_gives_way_to_the_snapshots(fresh: dict[str, Node]) -> None:
    """A reset puts the certificates of whatever ran there before aside, and those of the snapshot in their place."""
    node = fresh["earlier"]
    node.configure(cluster_init=True, token="of-its-own")
    node.start()
    until(lambda: "earlier" in node.ready_nodes(), what="a cluster of its own")
    node.stop()
    own = node.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt")
    node.configure(cluster_init=True)
    done = reset(node, f"--token={SECRET}")
    assert done.good, done.output
    assert node.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt") != own
    assert node.sh("sha256sum < $(ls -d /var/lib/rancher/k3s/server/tls-*)/server-ca.crt") == own
    assert node.sh("ls -d /var/lib/rancher/k3s/server/db/etcd-old-*")
