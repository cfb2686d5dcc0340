"""A restore on another machine with another address: how it succeeds, and the documented ways in which it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s import nodes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.k3s.nodes import Machines, Node

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

SECRET = "a-token-for-tests"
SNAPSHOT = "/var/lib/rancher/snapshot"
DIFFERENT = "bootstrap data already found and encrypted with different token"


@pytest.fixture(scope="module")
def snapshot(machines: Machines, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of a cluster of a server and an agent; the server is gone."""
    lost = machines.add("srv1", 11)
    lost.configure(cluster_init=True, token=SECRET)
    lost.start()
    agent = machines.add("w1", 21)
    agent.configure(server=f"https://{lost.address}:6443", token=SECRET)
    agent.start("k3s-agent")
    nodes.until(lambda: lost.ready_nodes() == {"srv1", "w1"}, what="two ready nodes")
    lost.ok("k3s", "kubectl", "create", "configmap", "kept", "--from-literal=key=value")
    lost.ok("k3s", "etcd-snapshot", "save", "--name", "point")
    path = tmp_path_factory.mktemp("snapshot") / "snapshot"
    found = lost.sh("ls /var/lib/rancher/k3s/server/db/snapshots/point-*")
    nodes.docker("cp", f"{lost.container}:{found}", str(path))
    machines.remove("srv1")
    machines.remove("w1")
    return path


@pytest.fixture
def fresh(machines: Machines, snapshot: Path) -> Node:
    """A new machine with another address, and the snapshot on it."""
    return machine_with(machines, snapshot, "srv9", 19)


def machine_with(machines: Machines, snapshot: Path, name: str, number: int) -> Node:
    """A machine, and the snapshot on it; one that an earlier test left is removed."""
    if name in machines.nodes:
        machines.remove(name)
    node = machines.add(name, number)
    node.configure(cluster_init=True)
    nodes.docker("cp", str(snapshot), f"{node.container}:{SNAPSHOT}")
    return node


def reset(node: Node, *more: str) -> nodes.Result:
    """Restore the snapshot."""
    return node.run("k3s", "server", "--cluster-reset", f"--cluster-reset-restore-path={SNAPSHOT}", *more)


def has_kept(node: Node) -> bool:
    """Whether the object of the lost cluster is there."""
    found = node.kubectl("get", "configmap/kept", "--output=jsonpath={.data.key}")
    return found.good and found.output == "value"


def test_the_objects_come_back_under_another_address(fresh: Node, machines: Machines) -> None:
    """With the old token a snapshot is restored on another machine: objects, CA and token are the old ones."""
    done = reset(fresh, f"--token={SECRET}")
    assert done.good, done.output
    assert "restart without --cluster-reset flag now" in done.output
    assert fresh.sh("test -e /var/lib/rancher/k3s/server/db/reset-flag && echo there") == "there"

    again = reset(fresh, f"--token={SECRET}")
    assert not again.good
    assert "reset-flag" in again.output

    fresh.configure(cluster_init=True, token=SECRET)
    fresh.start()
    nodes.until(lambda: has_kept(fresh), what="the restored object")
    nodes.until(lambda: "srv9" in fresh.ready_nodes(), what="the new node")
    assert not fresh.run("test", "-e", "/var/lib/rancher/k3s/server/db/reset-flag").good
    assert fresh.sh("cat /var/lib/rancher/k3s/server/token").endswith(f"::server:{SECRET}")
    stale = {item["metadata"]["name"] for item in fresh.get("nodes")["items"]}
    assert stale == {"srv1", "w1", "srv9"}
    nodes.until(lambda: fresh.ready_nodes() == {"srv9"}, what="the lost nodes being seen as lost")

    agent = machines.add("w1", 21)
    agent.configure(server=f"https://{fresh.address}:6443", token=SECRET)
    agent.start("k3s-agent")
    nodes.until(lambda: "Node password rejected" in agent.log("k3s-agent"), what="the refusal of the new machine")
    fresh.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/w1.node-password.k3s")
    nodes.until(lambda: fresh.ready_nodes() == {"srv9", "w1"}, what="the agent under its old name")
    machines.remove("w1")


def test_a_server_under_its_old_name_needs_its_password_forgotten(machines: Machines, snapshot: Path) -> None:
    """A restored server that takes the lost one's name runs no pods until the old password's secret is deleted."""
    node = machine_with(machines, snapshot, "srv1", 18)
    assert reset(node, f"--token={SECRET}").good
    node.configure(cluster_init=True, token=SECRET)
    node.start()
    nodes.until(lambda: has_kept(node), what="the restored object")
    nodes.until(lambda: refused_password(node), what="the refusal")
    node.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/srv1.node-password.k3s")
    nodes.until(lambda: "srv1" in node.ready_nodes(), what="the server's own node")
    machines.remove("srv1")


def refused_password(node: Node) -> bool:
    """Whether k3s says that the node's password is not the one it knows."""
    said = node.log()
    return "Node password rejected" in said or "hash does not match" in said


@pytest.mark.parametrize("token", ["--token=another-token", ""], ids=["another", "none"])
def test_without_the_old_token_nothing_is_restored(fresh: Node, token: str) -> None:
    """The identity in a snapshot opens with the token that was in force; with another, or none, the reset fails."""
    refused = reset(fresh, *filter(None, [token]))
    assert not refused.good
    assert DIFFERENT in refused.output


def test_the_ca_of_an_earlier_cluster_gives_way_to_the_snapshots(fresh: Node) -> None:
    """A reset puts the certificates of whatever ran there before aside, and those of the snapshot in their place."""
    fresh.configure(cluster_init=True, token="of-its-own")
    fresh.start()
    nodes.until(lambda: "srv9" in fresh.ready_nodes(), what="a cluster of its own")
    fresh.stop()
    own = fresh.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt")
    fresh.configure(cluster_init=True)
    done = reset(fresh, f"--token={SECRET}")
    assert done.good, done.output
    assert fresh.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt") != own
    assert fresh.sh("sha256sum < $(ls -d /var/lib/rancher/k3s/server/tls-*)/server-ca.crt") == own
    assert fresh.sh("ls -d /var/lib/rancher/k3s/server/db/etcd-old-*")


def test_a_missing_snapshot_is_named(fresh: Node) -> None:
    """A reset from a file that is not there fails, and leaves no flag behind."""
    refused = fresh.run(
        "k3s", "server", "--cluster-reset", "--cluster-reset-restore-path=/nowhere", f"--token={SECRET}"
    )
    assert not refused.good
    assert "/nowhere" in refused.output
    assert not fresh.run("test", "-e", "/var/lib/rancher/k3s/server/db/reset-flag").good
