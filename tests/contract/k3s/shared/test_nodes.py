"""What a node is in the cluster: its roles, labels, address and pods' range, and what it says of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.machines import REAL

if TYPE_CHECKING:
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


def test_nodes_have_roles_labels_taints_and_ranges(server: Node) -> None:
    """A node comes up with what its configuration says: address, labels, taints, and a range for its pods."""
    first, worker = server.get("node", "srv1"), server.get("node", "w1")
    assert {"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/etcd"} <= set(first["metadata"]["labels"])
    assert first["spec"]["taints"][0]["key"] == "node-role.kubernetes.io/control-plane"
    assert worker["metadata"]["labels"]["tier"] == "worker"
    assert "node-role.kubernetes.io/control-plane" not in worker["metadata"]["labels"]
    assert re.fullmatch(r"10\.42\.\d+\.0/24", worker["spec"]["podCIDR"])
    addresses = {each["type"]: each["address"] for each in first["status"]["addresses"]}
    assert addresses["InternalIP"] == server.address


@pytest.mark.skipif(REAL, reason="the real k3s is no stand-in")
def test_the_stand_in_says_that_it_is_one(server: Node) -> None:
    """Nobody takes the stand-in for k3s: its version and its log say what it is, and what it does not do."""
    version, log = server.ok("k3s", "--version"), server.log()
    assert "drkit's stand-in for k3s, not k3s itself" in version
    assert "drkit's stand-in for k3s" in log
    assert "network policies are accepted and not enforced" in version
    assert "network policies are accepted and not enforced" in log
    assert server.get("node", "srv1")["status"]["nodeInfo"]["kubeletVersion"].endswith("+standin")
