"""Who may join a cluster, and under which name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import SECRET
from tests.contract.k3s.nodes import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.k3s.machines import Machines
    from tests.contract.k3s.nodes import Node


# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]


@pytest.fixture(scope="module")
def pair(machines: Machines) -> Iterator[list[Node]]:
    """Two machines that belong to no cluster yet."""
    made = machines.add("outside-1", "outside-2")
    yield made
    machines.remove(*made)


@pytest.mark.parametrize(
    ("number", "token", "reason"),
    [
        (0, f"K10{'0' * 64}::node:{SECRET}", "hash"),
        (1, "another-token", "nauthorized|not authorized|token"),
    ],
    ids=["another-ca", "another-password"],
)
def test_an_agent_with_another_token_does_not_join(
    server: Node, pair: list[Node], number: int, token: str, reason: str
) -> None:
    """An agent whose token names another CA or another secret stays out."""
    stranger = pair[number]
    stranger.join(server, token, node_name="stranger")
    until(lambda: re.search(reason, stranger.log("k3s-agent")), what="the refusal")
    assert not server.kubectl("get", "node/stranger").good
    stranger.stop("k3s-agent")


def test_another_machine_does_not_take_a_nodes_name(server: Node, pair: list[Node]) -> None:
    """A machine that takes a node's name without its password is refused, until the password's secret is deleted."""
    original, impostor = pair
    original.join(server, SECRET, node_name="w3")
    try:
        until(lambda: "w3" in server.ready_nodes(), what="the node itself")
        original.power_off()
        impostor.join(server, SECRET, node_name="w3")
        until(lambda: "Node password rejected" in impostor.log("k3s-agent"), what="the refusal")
        server.ok("k3s", "kubectl", "delete", "--namespace=kube-system", "secret/w3.node-password.k3s")
        server.ok("k3s", "kubectl", "delete", "node/w3")
        until(lambda: address_of(server, "w3") == impostor.address, what="the node on its new machine")
    finally:
        impostor.power_off()
        server.ok("k3s", "kubectl", "delete", "--ignore-not-found", "node/w3")
        server.ok(
            "k3s", "kubectl", "delete", "--namespace=kube-system", "--ignore-not-found", "secret/w3.node-password.k3s"
        )


def address_of(server: Node, name: str) -> str:
    """A node's address; empty where there is no such node."""
    jsonpath = '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
    found = server.kubectl("get", f"node/{name}", jsonpath)
    return found.output if found.good else ""
