"""The suite for the provider ``lab``, and the provider ``hetzner`` against a stand-in whose servers are containers."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh, Target
from drkit.lab import containers, machines, traffic
from drkit.lab.hcloud.seed import serving_lab
from drkit.lab.topology import Role
from drkit.providers import hostkeys, naming
from drkit.providers.hetzner import HetznerProvider
from drkit.providers.lab import LabProvider
from drkit.providers.port import HEALTHY, Record
from drkit.providers.wanted import wanted as wanted_of
from drkit.topology import hetzner, select
from tests.contract.provider_suite import ProviderSuite
from tests.lab.machines import shell
from tests.lab.traffic import everything, page, resolved
from tests.lab.waiting import until
from tests.old_cluster import RESTORE, Heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from drkit.lab.hcloud.serve import StandIn
    from drkit.lab.topology import Topology
    from drkit.providers.port import Provider, Server
    from drkit.providers.values import Wanted
    from tests.lab.labs import LabUser

pytestmark = pytest.mark.lab

TOKEN = "a-token-for-tests"
PAGE = "drkit lab provider test"


@pytest.fixture(scope="module")
def small(lab_user: LabUser, docker_engine: DockerClient) -> Iterator[dict[str, Any]]:
    """A lab of its own: the load balancer and the DNS server of the shared one are others'."""
    name = f"{lab_user.prefix}-provider"
    found: dict[str, Any] = lab_user.run("up", "--servers", "1", "--agents", "1", "--json", name=name).json()
    yield found
    lab_user.run("down", name=name)


@pytest.fixture
def topology(small: dict[str, Any], docker_engine: DockerClient) -> Topology:
    """What it consists of."""
    return machines.lab_of(docker_engine, small["name"])


@pytest.fixture
def site(small: dict[str, Any], topology: Topology, docker_engine: DockerClient) -> str:
    """A name that its DNS answers for, as ``lab up --workload`` sets one."""
    full = f"shop.{small['dns']['zone']}"
    dns = docker_engine.containers.get(topology.the(Role.DNS).name)
    now = traffic.answers(dns)
    traffic.answer(dns, type(now)({**now.records, full: [small["load_balancer"]["address"]]}))
    until(lambda: resolved(small, full) == small["load_balancer"]["address"])
    return full


def public_key(small: dict[str, Any]) -> str:
    """The key that logs in to the lab's machines."""
    return Path(small["ssh"]["key"]).with_suffix(".pub").read_text()


@contextmanager
def way_to(small: dict[str, Any], server: Server, tmp_path: Path) -> Iterator[tuple[SshNode, Path]]:
    """The way to a server, which believes what the provider says of its host key alone."""
    pins = tmp_path / f"known_hosts-{server.name}"
    pins.write_text(server.known_hosts())
    node = SshNode(server.name, server.address, Ssh(user="root", key=Path(small["ssh"]["key"]), known_hosts=pins))
    try:
        yield node, pins
    finally:
        node.close()


def is_fresh(node: SshNode) -> bool:
    """Whether it is a machine that runs, and on which no k3s has run."""
    assert shell(node, "systemctl is-system-running --wait || true").strip() in {"running", "degraded"}
    return shell(node, "ls /var/lib/rancher/k3s 2>/dev/null | wc -l").strip() == "0"


def serve_page(node: SshNode) -> None:
    """Let a machine answer on port 80."""
    shell(node, f"mkdir -p /srv/page && echo '{PAGE}' >/srv/page/index.html")
    shell(node, "systemd-run --unit=page python3 -m http.server 80 --directory /srv/page")


def lab_target(**more: Any) -> Target:
    """The lab as a target."""
    return Target.model_validate({"provider": "lab", "servers": ["server-1"], "agents": ["agent-1"], **more})


def lab_wanted(small: dict[str, Any], target: Target, *, replace: bool = False) -> Wanted:
    """What a restore wants there."""
    nodes = [{"name": node["name"], "labels": {}, "addresses": []} for node in small["nodes"]]
    keys = [public_key(small)]
    return wanted_of({"nodes": nodes}, target, RESTORE, keys, section="clusters.lab", replace=replace)


class TestLab(ProviderSuite):
    """Containers beside the lab's own."""

    @pytest.fixture
    def provider(self, small: dict[str, Any], docker_engine: DockerClient) -> Iterator[LabProvider]:
        """It; what it made is gone after the test."""
        made = LabProvider(docker_engine, small["name"], Heard())
        yield made
        made.destroy(RESTORE)

    @pytest.fixture
    def wanted(self, small: dict[str, Any]) -> Wanted:
        """One machine: each takes seconds to boot."""
        return lab_wanted(small, lab_target(servers=[], agents=["agent-1"]))

    @pytest.fixture
    def name(self, site: str) -> str:
        """In the lab's zone."""
        return site


def test_a_labs_machine_is_fresh_and_serves(
    small: dict[str, Any], topology: Topology, docker_engine: DockerClient, tmp_path: Path, site: str
) -> None:
    """A new machine lets the key in, has run no k3s, and gets the traffic and the name; destroy leaves no trace."""
    provider = LabProvider(docker_engine, small["name"], Heard())
    before = everything(docker_engine, topology)
    wanted = lab_wanted(small, lab_target(servers=[], agents=["agent-1"]))
    try:
        see_that_it_serves(provider, wanted, small, tmp_path, site)
    finally:
        provider.destroy(RESTORE)
    assert everything(docker_engine, topology) == before
    until(lambda: resolved(small, site) == small["load_balancer"]["address"])


def test_a_labs_node_that_is_replaced_comes_back(
    small: dict[str, Any], topology: Topology, docker_engine: DockerClient
) -> None:
    """With ``replace`` the old node is off, has another name and all of its disks; destroy gives it its name back."""
    provider = LabProvider(docker_engine, small["name"], Heard())
    wanted = lab_wanted(small, lab_target(servers=[], agents=["agent-1"]), replace=True)
    before = everything(docker_engine, topology)
    old = machines.find(docker_engine, topology, "agent-1")
    assert old is not None
    try:
        made = provider.server(wanted, "agent-1")
        assert made == provider.server(wanted, "agent-1")
        assert made.address != machines.address_of(old, topology)
        old.reload()
        assert old.status == "exited"
        assert str(old.name).endswith(naming.put_aside("agent-1", RESTORE))
    finally:
        provider.destroy(RESTORE)
    old.reload()
    machines.power_on(old)
    assert everything(docker_engine, topology) == before


def see_that_it_serves(
    provider: Provider, wanted: Wanted, small: dict[str, Any], tmp_path: Path, name: str
) -> dict[str, Server]:
    """All that a restore asks of a provider: servers that are logged in to, traffic and name lead there."""
    provider.check(wanted)
    provider.foundation(wanted)
    made = {each.was: provider.server(wanted, each.name) for each in wanted.servers}
    for was, server in list(made.items()):
        until(partial(containers.answers, server.address, 22, b"SSH-"))
        with way_to(small, server, tmp_path) as (node, pins):
            assert is_fresh(node)

            def believe(server: Server, node: SshNode = node, pins: Path = pins) -> None:
                pins.write_text(server.known_hosts())
                node.close()  # the next program connects anew, and has to believe what it meets

            made[was] = hostkeys.settle(provider, server, node, believe)
            assert made[was] == provider.server(wanted, server.name)
            assert shell(node, "cat /etc/hostname").strip() == server.name
            serve_page(node)
    assert provider.balancer(wanted) is not None
    until(lambda: {each.status for each in provider.health(wanted) if each.port == 80} == {HEALTHY}, every=0.3)
    until(lambda: page(small).strip() == PAGE, every=0.1)
    address = next(iter(made.values())).address
    before = provider.record(name, "A")
    assert before is not None
    assert provider.point(wanted.restore_id, Record(name, "A", (address,))).before == before
    until(lambda: resolved(small, name) == address)
    return made


@pytest.fixture
def cloud(small: dict[str, Any], docker_engine: DockerClient, site: str) -> Iterator[StandIn]:
    """The stand-in over the lab."""
    with serving_lab(docker_engine, small["name"], TOKEN, Heard()) as api:
        yield api


def test_the_hetzner_provider_makes_containers(
    small: dict[str, Any],
    topology: Topology,
    docker_engine: DockerClient,
    cloud: StandIn,
    tmp_path: Path,
    site: str,
) -> None:
    """A project's backup becomes servers with pinned keys, behind the load balancer's old address and the name.

    Destroy then leaves the load balancer, the record and all containers as they were.
    """
    before = everything(docker_engine, topology)
    project = hetzner.read(TOKEN, cloud.endpoint)
    kept = select.belonging(project, [node["name"] for node in small["nodes"]], ())
    assert {each["name"] for each in kept["servers"]} == {"server-1", "agent-1"}
    settled = {"provider": "hetzner", "servers": ["server-1"], "agents": ["agent-1"], "load_balancer": "balancer"}
    target = Target.model_validate(settled)
    wanted = wanted_of({"hetzner": kept}, target, RESTORE, [public_key(small)], section="clusters.new")
    provider = HetznerProvider(TOKEN, cloud.endpoint, Heard(), patience=120, pause=0.2)
    try:
        made = see_that_it_serves(provider, wanted, small, tmp_path, site)
        assert not any(server.first_key for server in made.values())
        assert len({server.host_keys for server in made.values()}) == 2
        assert cloud.project.problems == []
    finally:
        provider.destroy(RESTORE)
    cloud.project.close()
    assert everything(docker_engine, topology) == before
    until(lambda: resolved(small, site) == small["load_balancer"]["address"])


def test_a_load_balancer_that_is_gone_is_made_beside_the_labs(
    small: dict[str, Any], docker_engine: DockerClient, cloud: StandIn
) -> None:
    """A second load balancer is a container of its own, with an address of its own, that goes with its deletion."""
    body = {
        "name": "second",
        "load_balancer_type": "lb11",
        "location": "nbg1",
        "services": [
            {
                "protocol": "tcp",
                "listen_port": 80,
                "destination_port": 80,
                "health_check": {"protocol": "tcp", "port": 80, "interval": 15, "timeout": 10, "retries": 3},
            }
        ],
    }
    own = HetznerProvider(TOKEN, cloud.endpoint, Heard(), pause=0.1)._api
    made, started = own.make("load_balancers", "load_balancer", {**body, "labels": {}})
    own.finish(started)
    address = made["public_net"]["ipv4"]["ip"]
    assert address != small["load_balancer"]["address"]
    until(lambda: containers.answers(address, 80))
    own.delete(f"/load_balancers/{made['id']}")
    until(lambda: not containers.answers(address, 80))
