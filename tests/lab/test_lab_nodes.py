"""The lab's machines and what stands around them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab import balancer, containers, inside
from drkit.lab.placed import Placed
from tests.lab.labs import COLD_SECONDS, LabUser, ssh
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
PORT = 18080


def test_a_node_is_logged_in_to_as_root(lab: Lab) -> None:
    """The lab's key and its known_hosts are enough to log in to each node, under the name that the cluster knows."""
    for node in lab["nodes"]:
        ran = ssh(lab, node["name"], "hostname; id -u; systemctl is-active ssh")
        assert ran.out.split() == [node["name"], "0", "active"]


def test_members_are_found_by_name(lab: Lab) -> None:
    """A node finds every other member by the name that the lab's DNS server gives it, short and whole."""
    for name in ("box", f"balancer.{lab['dns']['zone']}", f"agent-2.{lab['dns']['zone']}"):
        ran = ssh(lab, "agent-1", "getent", "hosts", name)
        assert ran.status == 0, name
    assert lab["load_balancer"]["address"] in ssh(lab, "agent-1", "getent hosts balancer").out


def test_a_power_cut_is_survived(lab: Lab, docker_engine: DockerClient) -> None:
    """A node whose power was cut comes back as the same machine: its files, its host key, its cgroups and its units."""
    cut = docker_engine.containers.get(f"drkit-lab-{lab['name']}-agent-2")
    assert ssh(lab, "agent-2", "echo kept >/var/lib/kept && sync").status == 0
    cut.kill()
    cut.start()
    until(lambda: ssh(lab, "agent-2", "systemctl is-system-running --wait").out.strip() == "running")
    # A hierarchy for each controller on cgroup v1, one for all on v2.
    writable = "cd /sys/fs/cgroup && if [ -d pids ]; then cd pids; fi && mkdir probe && rmdir probe"
    script = "cat /var/lib/kept && rm /var/lib/kept && test -p /dev/kmsg && systemctl is-active lab-boot"
    after = ssh(lab, "agent-2", f"{script} && {writable}")
    assert after.status == 0, after.err
    assert after.out.split() == ["kept", "active"]


def test_a_node_cannot_change_its_host(lab: Lab) -> None:
    """What a node sets for the whole kernel is refused, or stays its own; its own network's settings it changes."""
    panic = Path("/proc/sys/kernel/panic").read_text()
    ssh(lab, "agent-1", "sysctl -w kernel.panic=77")
    assert Path("/proc/sys/kernel/panic").read_text() == panic
    assert ssh(lab, "agent-1", "sysctl -w vm.swappiness=77").status != 0
    assert ssh(lab, "agent-1", "sysctl -w net.ipv4.ip_forward=1").status == 0
    ssh(lab, "agent-1", "sysctl -w kernel.panic=10")


@pytest.fixture
def balancer_container(lab: Lab, docker_engine: DockerClient) -> Iterator[Container]:
    """The load balancer, with its own configuration again after the test."""
    found = docker_engine.containers.get(f"drkit-lab-{lab['name']}-balancer")
    kept = containers.fetch(found, "/etc/haproxy/haproxy.cfg")
    yield found
    configure(found, kept)


def configure(container: Container, text: str) -> None:
    """Give the load balancer another configuration, and have it read it."""
    containers.place(container, [Placed("/etc/haproxy/haproxy.cfg", text)])
    container.kill("SIGUSR2")


def is_up(container: Container) -> bool:
    """Whether the load balancer takes the test's target for healthy."""
    script = f"echo show stat | socat - {balancer.SOCKET} | grep ^port-{PORT},agent-1, | cut -d, -f18"
    return inside.run_in(container, "sh", "-c", script)[1].strip() == "UP"


def test_a_target_goes_and_comes_back_as_hetzners_would(lab: Lab, balancer_container: Container) -> None:
    """A target that drops packets is out after so many failed checks as asked, and back after as many that succeed."""
    address = next(node["address"] for node in lab["nodes"] if node["name"] == "agent-1")
    check = balancer.Check(interval=3, timeout=1, retries=2)
    service = balancer.Service(PORT, PORT, check)
    ssh(lab, "agent-1", f"systemd-run --unit=lab-test python3 -m http.server {PORT}")
    try:
        configure(balancer_container, balancer.configuration([service], {"agent-1": address}))
        until(lambda: is_up(balancer_container))
        until(lambda: containers.answers(lab["load_balancer"]["address"], PORT))
        cut = time.monotonic()
        ssh(lab, "agent-1", f"iptables -I INPUT -p tcp --dport {PORT} -j DROP")
        until(lambda: not is_up(balancer_container))
        gone = time.monotonic()
        # At best the first failing check begins at once and the second an interval later; each waits for its time-out.
        earliest = check.interval * (check.retries - 1) + check.timeout
        assert earliest - 1 <= gone - cut <= earliest + check.interval + 2
        ssh(lab, "agent-1", f"iptables -D INPUT -p tcp --dport {PORT} -j DROP")
        mended = time.monotonic()
        until(lambda: is_up(balancer_container))
        assert time.monotonic() - mended >= check.interval * (check.retries - 1) - 1
    finally:
        ssh(lab, "agent-1", f"iptables -D INPUT -p tcp --dport {PORT} -j DROP; systemctl stop lab-test")


def test_up_twice_changes_nothing(lab: Lab, lab_user: LabUser, docker_engine: DockerClient) -> None:
    """A second ``up`` of a lab that runs leaves every container as it is, and is quick."""
    mine = [docker_engine.containers.get(node["container"]) for node in lab["nodes"]]
    before = [(container.id, container.attrs["State"]["StartedAt"]) for container in mine]
    started = time.monotonic()
    again = lab_user.run("up", "--json", name=lab["name"]).json()
    assert time.monotonic() - started < 90
    for container in mine:
        container.reload()
    assert [(container.id, container.attrs["State"]["StartedAt"]) for container in mine] == before
    assert again["nodes"] == lab["nodes"]
