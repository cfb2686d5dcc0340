"""The topology of a cluster: what belongs to it, and what is kept of it."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from drkit.errors import SourceFailed
from drkit.topology import hetzner, nodes, select
from tests.hetzner import TOKEN, serving

if TYPE_CHECKING:
    from drkit.topology.hetzner import Project


def server(number: int, name: str, **more: Any) -> dict[str, Any]:
    """A server as the API describes it, in short."""
    return {
        "id": number,
        "name": name,
        "status": "running",
        "server_type": {"name": "cax11"},
        "image": {"name": "debian-13"},
        "labels": {"cluster": "docfast"},
        "public_net": {"ipv4": {"ip": f"192.0.2.{number}"}, "ipv6": None, "firewalls": []},
        "private_net": [{"network": 7, "ip": f"10.0.0.{number}"}],
        "ingoing_traffic": number,
        **more,
    }


def project() -> Project:
    """A project with a cluster of two servers, and with things of others."""
    stranger = server(9, "shop", labels={}, private_net=[], placement_group=None)
    balancer = {
        "id": 20,
        "name": "k3s-lb",
        "public_net": {"ipv4": {"ip": "192.0.2.200"}},
        "private_net": [{"network": 7, "ip": "10.0.0.200"}],
        "services": [{"protocol": "tcp", "listen_port": 443, "health_check": {"interval": 15}}],
        "targets": [{"type": "label_selector", "label_selector": {"selector": "cluster==docfast"}, "targets": []}],
        "ingoing_traffic": 5,
    }
    to_balancer = {"id": "docfast/A", "name": "@", "type": "A", "ttl": 60, "records": [{"value": "192.0.2.200"}]}
    elsewhere = {"id": "other/A", "name": "@", "type": "A", "records": [{"value": "203.0.113.1"}]}
    return {
        "servers": [server(2, "k3s-w1"), stranger, server(1, "k3s-mgr")],
        "networks": [{"id": 7, "name": "k3s"}, {"id": 8, "name": "other"}],
        "firewalls": [
            {"id": 30, "name": "mine", "applied_to": [{"type": "server", "server": {"id": 1}}]},
            {"id": 31, "name": "other", "applied_to": [{"type": "server", "server": {"id": 9}}]},
        ],
        "load_balancers": [balancer, {**balancer, "id": 21, "name": "other", "targets": []}],
        "floating_ips": [{"id": 40, "name": "f", "ip": "192.0.2.40", "server": 2}, {"id": 41, "ip": "x", "server": 9}],
        "primary_ips": [{"id": 50, "name": "p", "assignee_id": 1}, {"id": 51, "name": "q", "assignee_id": 9}],
        "placement_groups": [{"id": 60, "name": "spread", "servers": [1, 2]}, {"id": 61, "name": "o", "servers": [9]}],
        "ssh_keys": [{"id": 70, "name": "admin", "public_key": "ssh-ed25519 AAAA"}],
        "volumes": [{"id": 80, "name": "v", "server": None}],
        "zones": [
            {"id": 90, "name": "docfast.dev", "rrsets": [to_balancer]},
            {"id": 91, "name": "other.dev", "rrsets": [elsewhere]},
        ],
    }


def test_only_what_belongs_to_the_cluster_is_kept() -> None:
    """Servers are found by address, and everything else through them; other people's things stay out."""
    found = select.belonging(project(), [], {"10.0.0.1", "10.0.0.2"})
    names = {collection: [each.get("name") for each in things] for collection, things in found.items()}
    assert names == {
        "servers": ["k3s-mgr", "k3s-w1"],
        "networks": ["k3s"],
        "firewalls": ["mine"],
        "load_balancers": ["k3s-lb"],
        "floating_ips": ["f"],
        "primary_ips": ["p"],
        "placement_groups": ["spread"],
        "ssh_keys": ["admin"],
        "volumes": [],
        "zones": ["docfast.dev"],
    }


def test_without_addresses_names_decide() -> None:
    """Where no node could be asked for its address, a server belongs to the cluster by its name."""
    found = select.belonging(project(), ["shop"], [])
    assert [each["name"] for each in found["servers"]] == ["shop"]


def test_what_changes_by_itself_is_left_out() -> None:
    """Traffic, health and the order of the API's answers make no difference between two points."""
    first, second = project(), copy.deepcopy(project())
    second["servers"].reverse()
    second["servers"][0]["ingoing_traffic"] = 10**9
    second["load_balancers"][0]["targets"][0]["targets"] = []
    for target, status in ((first, "healthy"), (second, "unhealthy")):
        target["load_balancers"][0]["targets"][0]["health_status"] = [{"listen_port": 443, "status": status}]
    addresses = {"10.0.0.1", "10.0.0.2"}
    assert select.belonging(first, [], addresses) == select.belonging(second, [], addresses)


@pytest.mark.parametrize(
    ("selector", "means"),
    [
        ("a==1", True),
        ("a=1", True),
        ("a!=1", False),
        ("a", True),
        ("!a", False),
        ("!c", True),
        ("c!=1", True),
        ("a in (1, 2)", True),
        ("a in (2,3),b", False),
        ("a notin (2,3),b==x", True),
        ("a,b==y", False),
        ("", True),
    ],
)
def test_label_selectors_mean_what_hetzner_documents(selector: str, *, means: bool) -> None:
    """Each form of a label selector selects as documented."""
    assert select.matches(selector, {"a": "1", "b": "x"}) is means


def test_a_project_is_read_page_by_page() -> None:
    """A project of several pages comes whole, with the record sets of its zones."""
    whole = project()
    whole["servers"] = [server(number % 250, f"s{number}") for number in range(120)]
    with serving(whole) as api:
        found = hetzner.read(TOKEN, api.endpoint)
    assert found == whole
    assert api.asked["/servers"] == 3


def test_a_rate_limit_passes() -> None:
    """A refusal that passes by itself is waited for."""
    with serving(project()) as api:
        api.refuse["/networks"] = [(429, "rate_limit_exceeded")]
        assert hetzner.read(TOKEN, api.endpoint)["networks"] == project()["networks"]


def test_a_refusal_says_what_to_check() -> None:
    """A wrong token is a failed source with a hint, and the token is not in it."""
    with serving(project()) as api, pytest.raises(SourceFailed, match="unauthorized") as caught:
        hetzner.read("wrong-token", api.endpoint)
    assert "cluster.token" in caught.value.hint
    assert "wrong-token" not in caught.value.message


def test_nobody_there_is_a_failed_source() -> None:
    """An API that does not answer is named."""
    with serving(project()) as api:
        endpoint = api.endpoint
    with pytest.raises(SourceFailed, match="does not answer"):
        hetzner.read(TOKEN, endpoint)


def test_a_node_is_kept_without_what_the_cluster_adds() -> None:
    """Labels, taints that somebody set, addresses and the machine are kept; conditions and passing taints are not."""
    node = {
        "metadata": {"name": "k3s-mgr", "labels": {"zone": "a"}, "resourceVersion": "5"},
        "spec": {
            "taints": [
                {"key": "control-plane", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
            ],
            "podCIDRs": ["10.42.0.0/24"],
        },
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "k3s-mgr"}],
            "nodeInfo": {"architecture": "arm64", "bootID": "x"},
            "capacity": {"cpu": "2", "pods": "110"},
            "conditions": [{"type": "Ready"}],
        },
    }
    kept = nodes.from_api(node)
    assert kept == {
        "name": "k3s-mgr",
        "labels": {"zone": "a"},
        "annotations": {},
        "taints": [{"key": "control-plane", "effect": "NoSchedule"}],
        "unschedulable": False,
        "pod_cidrs": ["10.42.0.0/24"],
        "provider_id": "",
        "addresses": [
            {"type": "Hostname", "address": "k3s-mgr"},
            {"type": "InternalIP", "address": "10.0.0.1"},
        ],
        "architecture": "arm64",
        "capacity": {"cpu": "2"},
    }
    assert nodes.addresses([kept]) == {"10.0.0.1"}


def test_a_hosts_words_are_understood() -> None:
    """Each program's output gives what a rebuild needs, without what the cluster made on the host."""
    assert nodes.system('ID=debian\nVERSION_ID="13"\nHOME_URL=x\n') == {"id": "debian", "version_id": "13"}
    assert nodes.memory("MemTotal:        3915032 kB\nMemFree: 1 kB\n") == 3915032 * 1024
    sizes = {"sda": 40961572864, "zram0": 0}
    listed = {"blockdevices": [{"name": name, "size": size, "type": "disk"} for name, size in sizes.items()]}
    assert nodes.disks(listed) == [{"name": "sda", "size": 40961572864}]
    said = [
        {"ifname": "lo", "link_type": "loopback"},
        {"ifname": "enp7s0", "address": "86:00", "mtu": 1450, "addr_info": [{"local": "10.0.0.2", "prefixlen": 32}]},
        {"ifname": "cni0", "linkinfo": {"info_kind": "bridge"}, "addr_info": []},
        {"ifname": "veth1", "linkinfo": {"info_kind": "veth"}, "addr_info": []},
    ]
    assert nodes.interfaces(json.loads(json.dumps(said))) == [
        {"name": "enp7s0", "mac": "86:00", "mtu": 1450, "addresses": ["10.0.0.2/32"]}
    ]
    assert nodes.routes([{"dst": "default", "gateway": "10.0.0.1", "dev": "enp7s0"}, {"dst": "10.42.1.0/24"}]) == [
        {"dst": "default", "gateway": "10.0.0.1", "dev": "enp7s0"}
    ]
    host = {"processors": 2, "routes": [{"dst": "default"}, {"dst": "10.42.1.0/24"}]}
    assert nodes.without_pods(host, {"10.42.1.0/24"}) == {"processors": 2, "routes": [{"dst": "default"}]}
