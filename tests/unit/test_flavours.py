"""Each flavour of cluster, from what was sealed of it to the plan's steps, the servers wanted and the files on each.

Sources of what each flavour is: docs.k3s.io (networking/basic-network-options, networking/distributed-multicloud,
installation/registry-mirror, datastore/ha), docs.hetzner.cloud ("Label Selector").
"""

from __future__ import annotations

from typing import Any

import pytest

from drkit.providers import naming
from drkit.restore import reissue
from drkit.restore.etcd import kept
from drkit.restore.wanted import ETCD, MANIFESTS
from tests.unit.flavours import CONFIG, MANIFESTS_DIRECTORY, REGISTRIES, TOKEN, Node, restored, topology

NETWORK = {
    "id": 7,
    "name": "k3s-net",
    "ip_range": "10.0.0.0/16",
    "subnets": [{"ip_range": "10.0.0.0/24", "network_zone": "eu-central", "type": "cloud"}],
    "routes": [],
}
NEW = naming.new_names(["mgr", "mgr2", "w1", "w2"], "restore-1", replace=False)
ONE_SERVER = [
    *("network", "server mgr", "server w1", "files mgr", "files w1"),
    *("datastore mgr", "wake mgr", "scrub", "start mgr", "join w1", "labels"),
]
FRESH = ["network", "server mgr", "server w1", "files mgr", "files w1", "start mgr", "join w1", "labels"]


def private(name: str, number: int, config: str = "", **more: Any) -> Node:
    """A node in the network ``k3s-net`` that also has a public address."""
    inside, outside = f"10.0.0.{number}", f"192.0.2.{number}"
    return Node(name, inside, public=outside, private=inside, config=config, **more)


def public(name: str, number: int, config: str = "", **more: Any) -> Node:
    """A node with a public address alone, called by a name of its own at Hetzner."""
    address = f"192.0.2.{number}"
    return Node(name, **{"internal": address, **more}, public=address, server=(f"host-{number}", {}), config=config)


def test_flannel_over_a_private_interface() -> None:
    """The network is made again; interface, addresses and server become those inside it, and nothing else changes."""
    config = "flannel-iface: ens10  # the private one\nnode-ip: {}\n"
    server = private("mgr", 2, config.format("10.0.0.2") + "cluster-init: true\n")
    agent = private("w1", 3, config.format("10.0.0.3") + "server: https://10.0.0.2:6443\n", agent=True)
    found = restored([server, agent], topology([server, agent], networks=[NETWORK]))
    assert found.steps == ONE_SERVER
    assert found.wanted.network is not None
    assert (found.wanted.network.name, found.wanted.network.ip_range) == ("k3s-net", "10.0.0.0/16")
    assert [found.server(each).server_type for each in ("mgr", "w1")] == ["cax11", "cax21"]
    for name, address in (("mgr", "10.0.0.11"), ("w1", "10.0.0.12")):
        told = found.told(name)
        assert [told.text(key) for key in ("node-name", "node-ip", "flannel-iface")] == [NEW[name], address, "enp7s0"]
    assert "# the private one" in found.text("mgr", CONFIG)
    assert found.told("mgr").on("cluster-init")
    assert found.told("w1").text("server") == "https://10.0.0.11:6443"
    assert found.told("w1").text("token") == TOKEN


def test_wireguard_over_public_addresses_alone() -> None:
    """Nodes with public addresses alone go on telling them to flannel: the new ones in the old ones' place."""
    config = "flannel-backend: wireguard-native\nflannel-external-ip: true\nnode-external-ip: 192.0.2.2\n"
    server = public("mgr", 2, config, external="192.0.2.2")
    joining = "node-external-ip: 192.0.2.3\nserver: https://192.0.2.2:6443\n"
    agent = public("w1", 3, joining, external="192.0.2.3", agent=True)
    rules = [{"direction": "in", "protocol": "udp", "port": "51820", "source_ips": ["192.0.2.2/32", "192.0.2.3/32"]}]
    firewall = {"name": "k3s-fw", "rules": rules, "applied_to": [{"type": "server", "server": {"id": 1}}]}
    found = restored([server, agent], topology([server, agent], firewalls=[firewall]))
    assert found.steps == ONE_SERVER
    assert found.wanted.network is None
    said = list(reissue.of_firewalls(found.wanted.firewalls, "mgr", ["192.0.2.2"], ["198.51.100.11"]))
    assert said == [
        "the firewall k3s-fw names 192.0.2.2/32, which was mgr's: let in 198.51.100.11 as well",
    ]
    assert not list(reissue.of_firewalls(found.wanted.firewalls, "mgr", ["192.0.2.2"], ["192.0.2.2"]))
    mgr, w1 = found.told("mgr"), found.told("w1")
    assert mgr.text("flannel-backend") == "wireguard-native"
    assert mgr.on("flannel-external-ip")
    assert [each.text("node-external-ip") for each in (mgr, w1)] == ["198.51.100.11", "198.51.100.12"]
    assert [each.text("node-ip") for each in (mgr, w1)] == ["198.51.100.11", "198.51.100.12"]
    assert w1.text("server") == "https://198.51.100.11:6443"


def test_wireguard_between_networks_that_do_not_reach_each_other() -> None:
    """Who joined through a server's public address joins through the new one's: it may have no other way there."""
    config = "flannel-backend: wireguard-native\nflannel-external-ip: true\nnode-external-ip: 192.0.2.2\n"
    server = private("mgr", 2, config, external="192.0.2.2")
    joining = "node-external-ip: 192.0.2.3\nserver: https://192.0.2.2:6443\n"
    agent = private("w1", 3, joining, external="192.0.2.3", agent=True)
    found = restored([server, agent], topology([server, agent], networks=[NETWORK]))
    w1 = found.told("w1")
    assert w1.text("server") == "https://198.51.100.11:6443"
    assert (w1.text("node-ip"), w1.text("node-external-ip")) == ("10.0.0.12", "198.51.100.12")


def test_tailscale() -> None:
    """The VPN gives nodes their addresses, so none is told; its key's file is there; servers are found without it."""
    path = "/etc/rancher/k3s/vpn-auth"
    files = {path: "name=tailscale,joinKey=tskey-secret"}
    server = public("mgr", 2, f"vpn-auth-file: {path}\ntls-san: [100.64.0.2]\n", internal="100.64.0.2", files=files)
    joining = f"vpn-auth-file: {path}\nserver: https://100.64.0.2:6443\n"
    agent = public("w1", 3, joining, internal="100.64.0.3", files=files, agent=True)
    found = restored([server, agent], topology([server, agent]))
    assert found.steps == ONE_SERVER
    # Their servers are called otherwise, and none has the VPN's address.
    assert [found.server(each).server_type for each in ("mgr", "w1")] == ["cax11", "cax21"]
    for name in ("mgr", "w1"):
        assert found.told(name).value("node-ip") is None
        assert found.text(name, path) == files[path]
        assert any("VPN" in each for each in found.rewritten[name].said)
        assert not any("tskey" in each for each in found.rewritten[name].said)
    # The VPN is up only once k3s runs: a machine joins through an address that is there before.
    assert found.told("w1").text("server") == "https://198.51.100.11:6443"
    assert "198.51.100.11" in found.told("mgr").value("tls-san")
    assert "100.64.0.2" not in found.told("mgr").value("tls-san")


@pytest.mark.parametrize("mode", [ETCD, MANIFESTS])
def test_canal_with_the_packaged_parts_disabled(mode: str) -> None:
    """Flannel and what was disabled stay off; the manifest comes back, held; a fresh cluster's network is applied."""
    config = (
        "flannel-backend: none\ndisable-network-policy: true\n"
        "disable: [traefik, servicelb, metrics-server, local-storage]\ncluster-cidr: 10.42.0.0/16\n"
    )
    canal = f"{MANIFESTS_DIRECTORY}/canal.yaml"
    server = private("mgr", 2, config, files={canal: "kind: DaemonSet\n", f"{MANIFESTS_DIRECTORY}/coredns.yaml": "x"})
    agent = private("w1", 3, "server: https://10.0.0.2:6443\n", agent=True)
    found = restored([server, agent], topology([server, agent], networks=[NETWORK]), mode=mode)
    assert found.steps == (ONE_SERVER if mode == ETCD else [*FRESH, "objects apply"])
    assert found.text("mgr", CONFIG) == config
    assert found.text("mgr", canal) == "kind: DaemonSet\n"
    assert found.rewritten["mgr"].files[f"{canal}.skip"].content == kept.HELD
    assert f"{MANIFESTS_DIRECTORY}/coredns.yaml" not in found.rewritten["mgr"].files
    # So nobody waits for nodes to be ready before the network's objects are applied.
    assert not found.rewritten["mgr"].flannel
    assert found.told("w1").text("token") == (TOKEN if mode == ETCD else "a-fresh-token")


def test_an_external_datastore_without_private_network() -> None:
    """Servers share the datastore where it was and join nobody; side by side; the agent joins the first of them."""
    endpoint = "postgres://k3s:pass@db.example:5432/k3s"
    config = f"datastore-endpoint: {endpoint}\ntoken: of-the-cluster\n"
    first, second = public("mgr", 2, config), public("mgr2", 3, config)
    agent = public("w1", 4, "server: https://192.0.2.3:6443\ntoken: of-the-cluster\n", agent=True)
    nodes = [first, second, agent]
    found = restored(nodes, topology(nodes), datastore="postgresql")
    names = ["mgr", "mgr2", "w1"]
    assert found.steps == [
        *("network", *(f"server {each}" for each in names), *(f"files {each}" for each in names)),
        *("datastore mgr", "wake mgr", "scrub", "start mgr", "join mgr2", "join w1", "labels"),
    ]
    assert found.wanted.network is None
    for name in ("mgr", "mgr2"):
        told = found.told(name)
        assert told.text("datastore-endpoint") == endpoint
        assert (told.value("server"), told.value("cluster-init")) == (None, None)
        assert found.text(name, "/var/lib/rancher/k3s/server/token") == f"{TOKEN}\n"
        assert not any("pass" in each for each in found.rewritten[name].said)
    assert found.told("mgr2").text("node-ip") == "198.51.100.12"
    assert found.told("w1").text("server") == "https://198.51.100.11:6443"
    assert found.told("w1").text("token") == "of-the-cluster"


def test_an_embedded_registry_mirror() -> None:
    """Every node keeps what it is told to mirror, the server the switch; a mirror on an old node is on the new one."""
    registries = "mirrors:\n  '*':\n  registry.example:\n    endpoint: ['http://10.0.0.2:5000']\n"
    files = {REGISTRIES: registries}
    server = private("mgr", 2, "embedded-registry: true\n", files=files)
    agent = private("w1", 3, "server: https://10.0.0.2:6443\n", files=files, agent=True)
    found = restored([server, agent], topology([server, agent], networks=[NETWORK]))
    assert found.steps == ONE_SERVER
    assert found.told("mgr").on("embedded-registry")
    for name in ("mgr", "w1"):
        assert found.text(name, REGISTRIES) == registries.replace("10.0.0.2:", "10.0.0.11:")


def test_nodes_and_targets_matched_by_label() -> None:
    """Servers keep the labels that the load balancer's selector means; nodes have theirs before a pod comes to them."""
    selector = "cluster==shop,role in (worker,edge)"
    balancer = {
        "id": 1,
        "name": "k3s-lb",
        "load_balancer_type": {"name": "lb11"},
        "location": {"name": "nbg1"},
        "targets": [{"type": "label_selector", "label_selector": {"selector": selector}, "use_private_ip": True}],
        "services": [],
    }
    labels = {"cluster": "shop"}
    server = private("mgr", 2, server=("mgr", {**labels, "role": "manager"}))
    joining = "server: https://10.0.0.2:6443\n"
    pools = {"pool": "db", "node-role.kubernetes.io/worker": "true", "kubernetes.io/hostname": "w1"}
    first = private("w1", 3, joining, server=("w1", {**labels, "role": "worker"}), labels=pools, agent=True)
    alone = ({"key": "alone", "value": "yes", "effect": "NoSchedule"},)
    second = private("w2", 4, joining, server=("w2", {**labels, "role": "batch"}), taints=alone, agent=True)
    nodes = [server, first, second]
    found = restored(nodes, topology(nodes, networks=[NETWORK], load_balancers=[balancer]))
    assert found.steps[-3:] == ["join w2", "labels", "balancer"]
    wanted = found.wanted.balancer
    assert wanted is not None
    assert (wanted.name, wanted.selector, wanted.private, wanted.targets) == ("k3s-lb", selector, True, (NEW["w1"],))
    assert {name: found.server(name).labels["role"] for name in ("mgr", "w1", "w2")} == {
        "mgr": "manager",
        "w1": "worker",
        "w2": "batch",
    }
    assert found.told("w1").value("node-label") == ["pool=db"]
    assert found.rewritten["w1"].labels == {"node-role.kubernetes.io/worker": "true"}
    assert found.told("w2").value("node-taint") == ["alone=yes:NoSchedule"]
