"""Pods: their network, their storage, and a power cut of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import ask, container, everyone_reaches_everyone, heartbeat, pods_running
from tests.contract.k3s.machines import REAL
from tests.contract.k3s.nodes import power_on, until

if TYPE_CHECKING:
    from tests.contract.k3s.cluster import Cluster
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


def test_pods_reach_each_other_by_name_across_nodes(talking: Node) -> None:
    """A pod on each node reaches the services of the others, and its own, by name."""
    until(lambda: everyone_reaches_everyone(talking), what="every pod reaching every service")


def test_local_path_is_the_default_storage(talking: Node) -> None:
    """A claim without a class gets a directory on the node where its pod runs."""
    request = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    user = {
        "nodeSelector": {"kubernetes.io/hostname": "w2"},
        "terminationGracePeriodSeconds": 0,
        "containers": [container("user", volumeMounts=[{"name": "disk", "mountPath": "/disk"}])],
        "volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}],
    }
    talking.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"}, "spec": request},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}, "spec": user},
    )
    until(lambda: "user" in pods_running(talking), what="a pod with a volume")
    volume = talking.get("pvc", "disk")["spec"]["volumeName"]
    spec = talking.get("pv", volume)["spec"]
    where = spec.get("hostPath") or spec["local"]
    assert where["path"].startswith("/var/lib/rancher/k3s/storage/")
    talking.ok("k3s", "kubectl", "delete", "pod/user", "pvc/disk", "--timeout=60s")
    until(lambda: not talking.kubectl("get", "pv", volume).good, what="the volume's removal")


@pytest.mark.skipif(not REAL, reason="the stand-in does not enforce policies, and says so")
def test_a_network_policy_is_enforced(talking: Node) -> None:
    """A pod that a policy lets nobody into is not reached any more, until the policy is gone."""
    shut = {"podSelector": {"matchLabels": {"app": "on-w2"}}, "policyTypes": ["Ingress"]}
    talking.apply(
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "shut"}, "spec": shut}
    )
    until(lambda: ask(talking, "on-w1", "http://on-w2.default/") != "on-w2", what="the policy")
    assert ask(talking, "on-w2", "http://on-w1.default/") == "on-w1"
    talking.ok("k3s", "kubectl", "delete", "networkpolicy/shut")
    until(lambda: everyone_reaches_everyone(talking), what="every pod reaching every service")


def test_everything_comes_back_after_a_power_cut(talking: Node, cluster: Cluster) -> None:
    """After the power of all machines was cut at once, the nodes, their pods and the pods' network come back."""
    before = {node.name: heartbeat(talking, node.name) for node in cluster.nodes}
    for node in cluster.nodes:
        node.power_off()
    power_on(*cluster.nodes)
    until(lambda: talking.ready_nodes() == set(before), what="three ready nodes")
    until(lambda: all(heartbeat(talking, name) > beat for name, beat in before.items()), what="their heartbeats")
    until(lambda: everyone_reaches_everyone(talking), what="every pod reaching every service")
