"""A single server without ``cluster-init``: SQLite, and no etcd snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s import nodes

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Machines, Node

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def server(machines: Machines) -> Node:
    """A running server that was told nothing about its datastore."""
    single = machines.add("srv1", 11)
    single.configure()
    single.start()
    nodes.until(lambda: single.ready_nodes() == {"srv1"}, what="a ready node")
    return single


def test_the_state_is_in_sqlite(server: Node) -> None:
    """The default datastore is db/state.db; there is no etcd beside it, and the node has no role in one."""
    assert server.sh("head -c 15 /var/lib/rancher/k3s/server/db/state.db") == "SQLite format 3"
    assert not server.run("test", "-e", "/var/lib/rancher/k3s/server/db/etcd").good
    assert "node-role.kubernetes.io/etcd" not in server.get("node", "srv1")["metadata"]["labels"]


def test_there_are_no_snapshots(server: Node) -> None:
    """An etcd snapshot of SQLite is refused."""
    refused = server.run("k3s", "etcd-snapshot", "save")
    assert not refused.good
    assert "etcd datastore disabled" in refused.output


def test_a_copy_is_worth_nothing_without_its_token(server: Node) -> None:
    """With another token the server does not start; with its own, which it had made itself, it does."""
    server.ok("k3s", "kubectl", "create", "configmap", "kept")
    server.stop()
    server.configure(token="another-token")
    server.start()
    nodes.until(
        lambda: "bootstrap data already found and encrypted with different token" in server.log(), what="the refusal"
    )
    server.stop()
    server.configure()
    server.start()
    nodes.until(lambda: server.kubectl("get", "configmap/kept").good, what="the server's return")


def test_a_disabled_part_is_removed(server: Node) -> None:
    """A packaged part that is disabled goes, with its manifest; the others stay."""

    def has(kind: str) -> bool:
        return server.kubectl("get", "--namespace=kube-system", kind).good

    nodes.until(lambda: has("storageclass/local-path") and has("deployment/coredns"), what="the packaged parts")
    server.stop()
    server.configure(disable=["local-storage"])
    server.start()
    nodes.until(lambda: server.kubectl("get", "nodes").good and not has("storageclass/local-path"), what="the removal")
    manifests = server.sh("ls /var/lib/rancher/k3s/server/manifests").split()
    assert "local-storage.yaml" not in manifests
    assert "coredns.yaml" in manifests
    assert has("deployment/coredns")
