"""Where new machines are, who would answer of the old ones, and what outside has to be entered anew. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drkit.config.model import Cluster, Server, Ssh
from drkit.providers.port import HEALTHY, UNHEALTHY, Fenced, TargetHealth
from drkit.providers.port import Server as Made
from drkit.restore import alive, reissue
from drkit.restore.etcd.values import Machine
from drkit.restore.leading import unwell
from drkit.restore.machines import from_result, public_half, to_result, way
from drkit.restore.making import placed

if TYPE_CHECKING:
    from pathlib import Path

HETZNER = {
    "interfaces": [
        {"name": "eth0", "addresses": ["198.51.100.9/32", "2001:db8:1::1/64"]},
        {"name": "enp7s0", "addresses": ["10.0.0.3/32"]},
    ],
    "routes": [{"dst": "default", "gateway": "172.31.1.1", "dev": "eth0"}],
}
TOPOLOGY: dict[str, Any] = {
    "nodes": [
        {
            "name": "k3s-mgr",
            "labels": {"node-role.kubernetes.io/control-plane": "true"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
        },
        {"name": "k3s-w1", "labels": {}, "addresses": [{"type": "ExternalIP", "address": "198.51.100.7"}]},
    ]
}


@pytest.mark.parametrize(
    ("public", "private", "expected"),
    [
        (
            ("198.51.100.9", "2001:db8:1::1"),
            ("10.0.0.3",),
            (("10.0.0.3",), ("198.51.100.9", "2001:db8:1::1"), "enp7s0"),
        ),
        (
            ("198.51.100.9", "2001:db8:1::1"),
            (),
            (("198.51.100.9", "2001:db8:1::1"), ("198.51.100.9", "2001:db8:1::1"), "eth0"),
        ),
        # Behind another's address: what it has itself, by the way that leads outside.
        (("203.0.113.5",), (), (("198.51.100.9", "2001:db8:1::1"), ("203.0.113.5",), "eth0")),
        (("s1.example.org",), (), (("198.51.100.9", "2001:db8:1::1"), (), "eth0")),
    ],
)
def test_machines_of_a_cluster_know_each_other_by_their_private_addresses(
    public: tuple[str, ...], private: tuple[str, ...], expected: tuple[Any, ...]
) -> None:
    """Private addresses come first, with the interface that has them; without any the public ones are used."""
    found = placed(Made("k3s-w1-r1", "k3s-w1", public[0], public, private), "agent", HETZNER)
    assert found == Machine("k3s-w1-r1", "agent", *expected)


def test_a_private_address_that_is_not_there_yet_is_waited_for() -> None:
    """A machine whose private interface is not up has no place in the cluster yet."""
    assert placed(Made("a", "a", "198.51.100.9", ("198.51.100.9",), ("10.0.0.4",)), "agent", HETZNER) is None


def test_what_a_step_leaves_is_read_back() -> None:
    """A server goes through the journal and comes out the same."""
    made = Made("a-r1", "a", "192.0.2.1", ("192.0.2.1",), ("10.0.0.1",), ("ssh-ed25519 AAAA",), "cax11", "nbg1")
    assert from_result(to_result(made, Machine("a-r1", "server", ("10.0.0.1",)))) == made


def test_the_way_in_is_the_targets_else_the_clusters() -> None:
    """A target's SSH settings count as a whole; who makes a machine knows that root is let in."""
    own, old = Ssh(key=None, port=2222), Ssh(user="admin", jump="bastion")
    assert way(own, old, makes=True) == Ssh(user="root", port=2222)
    assert way(Ssh(), old, makes=True) == old
    assert way(Ssh(), Ssh(), makes=False) == Ssh()


def test_a_public_half_beside_the_key_is_taken(tmp_path: Path) -> None:
    """The private key is not opened where its public half lies beside it."""
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me\n")
    assert public_half(tmp_path / "id", "clusters.new.ssh.key") == "ssh-ed25519 AAAA me"


def test_the_old_clusters_doors_are_those_that_backups_knew() -> None:
    """Configured addresses count for more than the API's word; what new machines have now is nobody's old door."""
    cluster = Cluster(servers=[Server(name="k3s-mgr", address="192.0.2.1")], ssh=Ssh(port=2222))
    found = alive.doors(cluster, "https://k3s.example.org:6443", TOPOLOGY, ())
    assert [str(each) for each in found] == [
        "k3s-mgr at 192.0.2.1:2222",
        "k3s-mgr at 192.0.2.1:6443",
        "k3s-w1 at 198.51.100.7:2222",
        "the API at k3s.example.org:6443",
    ]
    assert alive.doors(Cluster(), "https://10.0.0.2:6443", TOPOLOGY, {"10.0.0.2", "198.51.100.7"}) == ()


def test_behind_a_host_on_the_way_silence_proves_nothing() -> None:
    """With ``ssh.jump`` no door is asked: the host on the way might be the one that is silent."""
    assert alive.doors(Cluster(ssh=Ssh(jump="bastion")), "", TOPOLOGY, ()) == ()


def test_only_what_the_provider_has_is_held() -> None:
    """A living machine that the provider does not have is free to serve, whatever is said of it."""
    doors = [alive.Door(name, "192.0.2.1", 22) for name in ("off", "detached", "gone", "on", "")]
    fenced = [
        Fenced("off", off=True, detached=False, there=True),
        Fenced("detached", off=False, detached=True, there=True),
        Fenced("gone", off=True, detached=True, there=False),
        Fenced("on", off=False, detached=False, there=True),
    ]
    assert [door.node for door in alive.unheld(doors, fenced)] == ["gone", "on", ""]


def test_targets_that_are_not_healthy_are_named() -> None:
    """Those that nothing is known of are among them."""
    known = [TargetHealth("a", 80, HEALTHY), TargetHealth("a", 443, UNHEALTHY)]
    assert unwell(known, ["a", "b"]) == ["a port 443 unhealthy", "b unknown"]


def test_what_names_an_old_address_is_listed() -> None:
    """Addresses that stayed need nothing; a fresh identity makes all kubeconfigs useless."""
    assert list(reissue.of_machine("w1", ["10.0.0.2"], ["10.0.0.2"])) == []
    assert "w1 (10.0.0.2): it is 10.0.0.9 now" in next(reissue.of_machine("w1", ["10.0.0.2"], ["10.0.0.9"]))
    assert any("new certificates" in line for line in reissue.of_cluster("manifests", ["10.0.0.9"]))
    assert not any("new certificates" in line for line in reissue.of_cluster("etcd", ["10.0.0.9"]))
