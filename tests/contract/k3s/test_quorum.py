"""Three servers and an agent: a quorum, the loss of one, and a reset that the others must follow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.contract.k3s.cluster import SECRET, heartbeat
from tests.contract.k3s.nodes import Node, at_once, power_on, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.k3s.machines import Machines

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("k3s")]

NAMES = ("srv1", "srv2", "srv3")
AGENT = "w1"
KNOWN_SERVERS = "cat /var/lib/rancher/k3s/agent/etc/*.json"


@pytest.fixture(scope="module")
def members(machines: Machines) -> Iterator[list[Node]]:
    """Three running servers, and an agent that has joined the first."""
    *made, agent = machines.add(*NAMES, AGENT)
    first, *others = made
    first.configure(cluster_init=True, token=SECRET)
    for other in others:
        other.configure(server=f"https://{first.address}:6443", token=SECRET)
    for each in made:
        each.start()
    agent.join(first, SECRET)
    all_ready(made)
    yield [*made, agent]
    machines.remove(*made, agent)


@pytest.fixture
def servers(members: list[Node]) -> list[Node]:
    """The three servers."""
    return members[:3]


def all_ready(servers: list[Node]) -> None:
    """Wait until each server sees all as ready, with a role in etcd."""
    until(
        lambda: all(each.ready_nodes() == {*NAMES, AGENT} for each in servers),
        what="all nodes ready, seen by each server",
    )
    until(lambda: etcd_nodes(servers[0]) == set(NAMES), what="three nodes with a role in etcd")


def etcd_nodes(server: Node) -> set[str]:
    """The nodes that carry etcd's role."""
    found = server.get("nodes", "--selector=node-role.kubernetes.io/etcd=true")
    return {item["metadata"]["name"] for item in found["items"]}


def remember(server: Node, name: str) -> bool:
    """Whether a write is acknowledged."""
    return server.kubectl("create", "configmap", name).good


def knows(server: Node, name: str) -> bool:
    """Whether an earlier write is there."""
    return server.kubectl("get", f"configmap/{name}").good


def test_two_of_three_go_on(servers: list[Node]) -> None:
    """With one server's power cut the others go on writing, and it catches up when its power is back."""
    first, second, third = servers
    assert remember(first, "before")
    third.power_off()
    until(lambda: remember(first, "while-one-is-off"), what="a write with one server off")
    until(lambda: remember(second, "by-the-second"), what="a write through the second server")
    power_on(third)
    until(lambda: knows(third, "by-the-second"), what="the third server's catching up")
    all_ready(servers)


def test_the_first_server_is_not_special(members: list[Node]) -> None:
    """With the first server's power cut, which all joined through, the others and the agent go on and may restart."""
    first, second, third, agent = members
    until(lambda: second.address in agent.sh(KNOWN_SERVERS), what="the agent's knowing of the other servers")
    first.power_off()
    until(lambda: remember(second, "without-the-first"), what="a write without the first server")
    agent.ok("systemctl", "restart", "--no-block", "k3s-agent")
    third.ok("systemctl", "restart", "k3s")
    before = heartbeat(second, AGENT)
    until(lambda: heartbeat(second, AGENT) > before, what="the agent's heartbeat without the first server")
    until(lambda: knows(third, "without-the-first"), what="a restart without the first server")
    power_on(first)
    until(lambda: knows(first, "without-the-first"), what="the first server's catching up")
    all_ready(members[:3])


def test_others_drop_their_database_after_a_reset(servers: list[Node]) -> None:
    """After a restore on one server the others do not start with their old database; without it they join again."""
    first, second, third = servers
    assert remember(first, "in-the-snapshot")
    first.ok("k3s", "etcd-snapshot", "save", "--name", "point")
    assert remember(first, "after-the-snapshot")
    at_once(Node.stop, servers)
    snapshot = first.sh("ls /var/lib/rancher/k3s/server/db/snapshots/point-*")
    done = first.ok("k3s", "server", "--cluster-reset", f"--cluster-reset-restore-path={snapshot}")
    assert "Managed etcd cluster membership has been reset" in done
    first.start()
    until(lambda: knows(first, "in-the-snapshot"), what="the restored objects")
    assert not knows(first, "after-the-snapshot")
    second.start()
    until(lambda: "not a member of the etcd cluster" in second.log(), what="the second server's refusal")
    for each in (second, third):
        each.stop()
        each.sh("rm -rf /var/lib/rancher/k3s/server/db")
        each.start()
    for each in (second, third):
        until(partial(knows, each, "in-the-snapshot"), what=f"{each.name} joining again")
    all_ready(servers)
    assert not knows(second, "after-the-snapshot")


def test_a_server_that_joined_is_not_reset_as_it_is(servers: list[Node]) -> None:
    """A reset is refused while the configuration names a server to join."""
    second = servers[1]
    second.stop()
    refused = second.run("k3s", "server", "--cluster-reset")
    assert not refused.good
    assert "cannot perform cluster-reset while server URL is set" in refused.output
    second.start()
    all_ready(servers)


def test_deleting_a_server_removes_its_member(servers: list[Node]) -> None:
    """A server whose node is deleted leaves etcd, and joins again with an empty database."""
    first, second, third = servers
    third.stop()
    third.sh("rm -rf /var/lib/rancher/k3s/server/db")
    third.start()
    until(lambda: "duplicate node name found" in third.log(), what="the refusal of the old name")
    third.stop()
    first.ok("k3s", "kubectl", "delete", "node/srv3")
    third.start()
    all_ready(servers)
    assert remember(second, "with-the-third-again")
