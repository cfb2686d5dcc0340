"""A single server without ``cluster-init``: SQLite, and no etcd snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import container, heartbeat, pods_running
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]

_HEARTBEAT_SECONDS = 15.0
"""A kubelet renews its lease every 10 s (Kubernetes, "Nodes")."""


@pytest.fixture(scope="module")
def single(machines: Machines) -> Iterator[Node]:
    """A running server that was told nothing about its datastore."""
    (made,) = machines.add("srv1")
    made.configure()
    made.start()
    until(lambda: made.ready_nodes() == {"srv1"}, what="a ready node")
    yield made
    machines.remove(made)


def test_the_state_is_in_sqlite(single: Node) -> None:
    """The default datastore is db/state.db; there is no etcd beside it, and the node has no role in one."""
    assert single.sh("head -c 15 /var/lib/rancher/k3s/server/db/state.db") == "SQLite format 3"
    assert not single.run("test", "-e", "/var/lib/rancher/k3s/server/db/etcd").good
    assert "node-role.kubernetes.io/etcd" not in single.get("node", "srv1")["metadata"]["labels"]


def test_there_are_no_snapshots(single: Node) -> None:
    """An etcd snapshot of SQLite is refused."""
    refused = single.run("k3s", "etcd-snapshot", "save")
    assert not refused.good
    assert "etcd datastore disabled" in refused.output


def test_a_copy_is_worth_nothing_without_its_token(single: Node) -> None:
    """With another token the server does not start; with its own, which it had made itself, it does."""
    single.ok("k3s", "kubectl", "create", "configmap", "kept")
    single.stop()
    single.configure(token="another-token")
    single.start()
    until(lambda: "bootstrap data already found and encrypted with different token" in single.log(), what="the refusal")
    single.stop()
    single.configure()
    single.start()
    until(lambda: single.kubectl("get", "configmap/kept").good, what="the server's return")


def test_a_disabled_part_is_removed(single: Node) -> None:
    """A packaged part that is disabled goes, with its manifest; the others stay."""

    def has(kind: str) -> bool:
        return single.kubectl("get", "--namespace=kube-system", kind).good

    until(lambda: has("storageclass/local-path") and has("deployment/coredns"), what="the packaged parts")
    single.stop()
    single.configure(disable=["local-storage"])
    single.start()
    until(lambda: single.kubectl("get", "nodes").good and not has("storageclass/local-path"), what="the removal")
    manifests = single.sh("ls /var/lib/rancher/k3s/server/manifests").split()
    assert "local-storage.yaml" not in manifests
    assert "coredns.yaml" in manifests
    assert has("deployment/coredns")


def test_an_api_alone(single: Node) -> None:
    """Told so, a server starts its API and nothing that acts on objects; told nothing, it acts on what is there."""
    single.stop()
    single.configure(disable_scheduler=True, disable_controller_manager=True, disable_agent=True)
    single.ok("systemctl", "start", "k3s")
    before = heartbeat(single, "srv1")
    template = {"metadata": {"labels": {"app": "later"}}, "spec": {"containers": [container("later")]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "later"}}, "template": template}
    single.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "later"}, "spec": spec})
    single.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": template["spec"]})
    # A kubelet would have said something by then, and a controller or scheduler something at once.
    until(lambda: seconds_since(single) > _HEARTBEAT_SECONDS, what="the time for a heartbeat")
    assert heartbeat(single, "srv1") == before
    assert not single.get("replicasets")["items"]
    assert "nodeName" not in single.get("pod", "alone")["spec"]
    single.stop()
    single.configure()
    single.start()
    until(lambda: single.ready_nodes() == {"srv1"}, what="the node's return")
    until(lambda: {"alone"} < pods_running(single), what="both pods")


def seconds_since(server: Node) -> float:
    """How long k3s has been running there."""
    started = server.sh("systemctl show --property=ActiveEnterTimestampMonotonic --value k3s")
    return float(server.sh("cut -d ' ' -f 1 /proc/uptime")) - int(started) / 1e6
