"""What a lab consists of."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.backup import leftovers
from drkit.errors import PreflightFailed, UsageError
from drkit.lab import limits
from drkit.lab.containers import routes
from drkit.lab.limits import check_inotify, inotify_in_use
from drkit.lab.spec import Datastore, LabSpec
from drkit.lab.subnet import CANDIDATES, choose
from drkit.lab.topology import CAPABILITIES, Role, beside, images, topology
from drkit.state import state_dir
from drkit.vault.borg_command import identity_of

if TYPE_CHECKING:
    from pathlib import Path

SUBNET = IPv4Network("10.211.7.0/24")


def test_the_default_lab_is_the_reference_cluster_with_what_stands_around_it() -> None:
    """One server, two agents, a Storage Box, a load balancer in front of the agents, and a DNS server."""
    lab = topology(LabSpec(), SUBNET)
    assert [container.member for container in lab.containers] == [
        "dns",
        "box",
        "balancer",
        "server-1",
        "agent-1",
        "agent-2",
    ]
    assert [node.member for node in lab.ingress] == ["agent-1", "agent-2"]


def test_servers_take_the_traffic_where_there_are_no_agents() -> None:
    """A lab of three servers has them behind its load balancer."""
    lab = topology(LabSpec(servers=3, agents=0), SUBNET)
    assert [node.member for node in lab.ingress] == ["server-1", "server-2", "server-3"]


def test_a_database_stands_beside_the_cluster_only_when_it_is_the_datastore() -> None:
    """Nobody waits for an image that the lab does not use."""
    assert "database" not in images(LabSpec())
    assert "database" in images(LabSpec(datastore=Datastore.POSTGRES))


@given(servers=st.integers(1, 9), agents=st.integers(0, 50), datastore=st.sampled_from([Datastore.ETCD, "postgres"]))
def test_addresses_and_names_are_distinct(servers: int, agents: int, datastore: str) -> None:
    """No two containers of a lab of any size share an address or a volume, and none has the gateway's."""
    lab = topology(LabSpec("x", servers, agents, Datastore(datastore)), SUBNET)
    addresses = {IPv4Address(container.address) for container in lab.containers}
    assert len(addresses) == len(lab.containers)
    assert all(address in SUBNET for address in addresses)
    assert not addresses & {SUBNET[0], SUBNET[1], SUBNET[-1]}
    volumes = list(itertools.chain.from_iterable(container.volumes for container in lab.containers))
    assert len(volumes) == len(set(volumes))


def test_two_labs_share_nothing() -> None:
    """Containers, volumes and networks of two labs have different names, also where one name begins with the other."""
    first, second = topology(LabSpec("a"), SUBNET), topology(LabSpec("a-b"), IPv4Network("10.211.8.0/24"))
    for one, other in itertools.product(first.containers, second.containers):
        assert one.name != other.name
        assert not set(one.volumes) & set(other.volumes)
    assert first.network != second.network


def test_bounds_are_the_nodes_own() -> None:
    """Who asks for bounded machines gets them for all nodes, later ones too; what stands around has none."""
    lab = topology(LabSpec(memory=2, disk=6), SUBNET)
    later = beside(lab, Role.SERVER, "later", "10.211.7.200", "k", {})
    for each in (*lab.containers, later):
        bounds = (2 * 2**30, 6) if each.role.is_node else (0, 0)
        assert (each.memory, each.disk) == bounds
        assert any("b 7:" in rule for rule in each.devices) is each.role.is_node
    assert not any("b 7:" in rule for node in topology(LabSpec(), SUBNET).nodes for rule in node.devices)


@pytest.mark.parametrize("bounds", [{"memory": -1}, {"disk": -1}, {"disk": 2**20}])
def test_there_are_no_such_bounds(bounds: dict[str, int]) -> None:
    """A disk of nothing, or of more than any machine has, is refused before anything is made."""
    with pytest.raises(UsageError, match="GiB"):
        LabSpec(**bounds)  # type: ignore[arg-type]


def test_nodes_cannot_change_the_hosts_clock() -> None:
    """A node has many rights on its machine, and none over the host's time or over limits that the host may lack."""
    assert not {"SYS_TIME", "SYS_RESOURCE", "BPF", "PERFMON", "CHECKPOINT_RESTORE"} & set(CAPABILITIES)


def test_only_nodes_have_rights_beyond_dockers_default() -> None:
    """The Storage Box, the load balancer, DNS and the database run as any container does."""
    lab = topology(LabSpec(datastore=Datastore.POSTGRES), SUBNET)
    for container in lab.by_role(Role.BOX, Role.BALANCER, Role.DNS, Role.DATABASE):
        assert container.capabilities == ()
        assert container.security_options == ()


@pytest.mark.parametrize(
    ("name", "servers", "agents", "datastore"),
    [
        ("", 1, 2, Datastore.ETCD),
        ("Lab", 1, 2, Datastore.ETCD),
        ("lab/..", 1, 2, Datastore.ETCD),
        ("lab-", 1, 2, Datastore.ETCD),
        ("x" * 33, 1, 2, Datastore.ETCD),
        ("lab", 0, 2, Datastore.ETCD),
        ("lab", 10, 2, Datastore.ETCD),
        ("lab", 1, 51, Datastore.ETCD),
        ("lab", 2, 0, Datastore.SQLITE),
    ],
)
def test_what_cannot_be_is_refused_as_usage(name: str, servers: int, agents: int, datastore: Datastore) -> None:
    """A name that is none, a size that does not fit, and SQLite on two servers end before anything is made."""
    with pytest.raises(UsageError):
        LabSpec(name, servers, agents, datastore)


@given(st.lists(st.integers(0, 2**24 - 1).map(lambda number: IPv4Network((number << 8, 24))), max_size=40))
def test_a_chosen_network_is_free(taken: list[IPv4Network]) -> None:
    """A lab's network overlaps nothing that the machine uses, and the choice depends on that alone."""
    chosen = choose(taken)
    assert not any(chosen.overlaps(network) for network in taken)
    assert chosen == choose(reversed(taken))


def test_no_free_network_is_said() -> None:
    """A machine whose networks are all in use is told which, instead of an engine's own error."""
    with pytest.raises(PreflightFailed, match=r"10\.211\.0\.0/16"):
        choose([IPv4Network(str(CANDIDATES))])


def test_routes_of_the_machine_are_read() -> None:
    """A network that the machine reaches otherwise than through Docker, a VPN's for instance, is not taken either."""
    table = (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "tun0\t0000D30A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    )
    assert routes(table) == [IPv4Network("10.211.0.0/16")]


def test_a_machine_that_is_used_up_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's limit leaves no room for a lab, that and the command that raises it are said beforehand."""
    (tmp_path / "limit").write_text(f"{inotify_in_use() + 10}\n")
    monkeypatch.setattr(limits, "LIMIT", tmp_path / "limit")
    with pytest.raises(PreflightFailed, match="inotify") as caught:
        check_inotify(LabSpec())
    assert "sysctl fs.inotify.max_user_instances=" in caught.value.hint
    (tmp_path / "limit").write_text("100000\n")
    check_inotify(LabSpec())


def test_a_lab_that_is_removed_leaves_no_memory_of_its_vaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next lab's box may have the same address: what was sealed in the last one's is not missed there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = [state_dir() / "vaults" / f"{identity_of(url)}.json" for url in ("ssh://a@192.0.2.1/./x", "elsewhere")]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    leftovers.forget(identity_of("ssh://a@192.0.2.1/./x"))
    assert [path.exists() for path in kept] == [False, True]
