"""The stand-in for Hetzner's API as Hetzner's own library sees it, and the trouble that can be ordered of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hcloud
import pytest
import requests
from hcloud.images import Image
from hcloud.load_balancers import LoadBalancerTarget
from hcloud.server_types import ServerType

from drkit.lab.hcloud import serve
from tests.contract.hetzner.steps import TOKEN
from tests.old_cluster import NODES, OTHER_KEY, build, client, there

if TYPE_CHECKING:
    from drkit.lab.hcloud.memory import MemoryMachines
    from drkit.lab.hcloud.serve import StandIn


def order(api: StandIn, **trouble: Any) -> requests.Response:
    """Order trouble, as a user of the lab does."""
    url = api.endpoint.removesuffix("/v1") + serve.TROUBLE
    return requests.put(url, json=trouble, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)


def refused(api: StandIn, code: str, **body: Any) -> None:
    """A server with this is refused."""
    asked = {"name": "s", "server_type": "cax11", "image": "debian-13", "location": "nbg1", **body}
    with pytest.raises(hcloud.APIException) as caught:
        client(api).request("POST", "/servers", json=asked)
    assert caught.value.code == code


def test_it_says_what_it_is(api: StandIn) -> None:
    """Every answer says that it comes from a stand-in, the refusals too."""
    refusal = requests.get(api.endpoint, timeout=10)
    root = requests.get(api.endpoint, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
    assert (refusal.status_code, root.status_code) == (401, 200)
    for answer in (refusal, root):
        assert answer.headers["Server"] == serve.BANNER
        assert answer.headers[serve.HEADER] == "true"
    assert "stand-in" in root.json()["stand_in"]


def test_hetzners_library_finds_what_it_made(api: StandIn) -> None:
    """Its models take the stand-in's answers: servers with networks, load balancers with health, zones with records."""
    build(api)
    own = client(api)
    server = there(own.servers.get_by_name("k3s-w1"))
    assert server.status == server.STATUS_RUNNING
    assert server.server_type.name == "cax11"
    assert server.private_net[0].network.name == "k3s-net"
    assert server.public_net.firewalls[0].firewall.name == "k3s-fw"
    assert [each.name for each in own.servers.get_all(label_selector="role==worker")] == list(NODES[1:])
    balancer = there(own.load_balancers.get_by_name("k3s-lb"))
    assert [each.health_status[0].status for each in balancer.targets[0].targets] == ["healthy"] * 2
    zone = there(own.zones.get("docfast.dev"))
    assert [each.records[0].value for each in zone.get_rrset_all()] == [balancer.public_net.ipv4.ip]


def test_lists_come_in_pages(api: StandIn) -> None:
    """The library walks through all pages, and a page that there cannot be is refused."""
    own = client(api)
    for number in range(60):
        own.placement_groups.create(f"group-{number}", "spread")
    assert len(own.placement_groups.get_all()) == 60
    with pytest.raises(hcloud.APIException, match="per_page"):
        own.placement_groups.get_list(per_page=51)


def test_names_and_keys_are_unique(api: StandIn) -> None:
    """The same name, or the same SSH key under another name, is refused as the API does."""
    build(api)
    refused(api, "uniqueness_error", name="k3s-w1")
    with pytest.raises(hcloud.APIException) as caught:
        client(api).ssh_keys.create("another", OTHER_KEY)
    assert caught.value.code == "uniqueness_error"


@pytest.mark.parametrize(
    "body",
    [
        {"labels": {"a": "-b"}},
        {"labels": {"a": "b" * 64}},
        {"labels": {"a b": "c"}},
        {"name": "under score!"},
        {"server_type": "cax99"},
        {"location": "moon"},
        {"image": "windows"},
        {"user_data": "x" * 32769},
    ],
)
def test_what_the_api_does_not_take_is_refused(api: StandIn, body: dict[str, Any]) -> None:
    """Labels, names, offers and user data are held to the documented forms."""
    refused(api, "invalid_input", **body)


def test_a_server_is_locked_while_something_is_under_way(api: StandIn) -> None:
    """An action takes its time; another one for the same server is refused until then."""
    api.project.trouble.seconds = 0.3
    own = client(api)
    made = own.servers.create("s", ServerType(name="cax11"), Image(name="debian-13"))
    assert made.server.status == "initializing"
    with pytest.raises(hcloud.APIException, match="locked"):
        made.server.power_off()
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    made.server.reload()
    assert made.server.status == "running"


def test_a_target_is_taken_once_and_only_where_it_is_reached(api: StandIn) -> None:
    """A target twice, or by an address that it has not, is refused."""
    build(api, by_label=False)
    own = client(api)
    balancer, shop = there(own.load_balancers.get_by_name("k3s-lb")), there(own.servers.get_by_name("shop"))
    with pytest.raises(hcloud.APIException, match="defined already"):
        balancer.add_target(balancer.targets[0])
    with pytest.raises(hcloud.APIException, match="same network"):
        balancer.add_target(LoadBalancerTarget("server", server=shop, use_private_ip=True))


def test_a_machine_that_is_off_is_unhealthy(api: StandIn, machines: MemoryMachines) -> None:
    """Health follows what the machines do."""
    build(api)
    own = client(api)
    server = there(own.servers.get_by_name("k3s-w2"))
    server.power_off().wait_until_finished()
    balancer = there(own.load_balancers.get_by_name("k3s-lb"))
    assert [each.health_status[0].status for each in balancer.targets[0].targets] == ["healthy", "unhealthy"]


def test_names_are_answered_for(api: StandIn, machines: MemoryMachines) -> None:
    """The records of its zones are what the machines' DNS is told."""
    build(api)
    api.project.close()
    assert list(machines.names) == ["docfast.dev"]


def test_trouble_comes_by_order(api: StandIn) -> None:
    """Refusals, limits, sold-out types and failing actions are ordered over HTTP, with the token."""
    assert order(api, sold_out=[["cax11", "nbg1"]]).status_code == 200
    refused(api, "resource_unavailable")
    assert order(api, sold_out=[], limits={"servers": 0}).status_code == 200
    refused(api, "resource_limit_exceeded")
    assert order(api, limits={}, failing=[{"command": "create_server", "code": "by_order"}]).status_code == 200
    made = client(api).servers.create("s", ServerType(name="cax11"), Image(name="debian-13"))
    with pytest.raises(hcloud.actions.ActionFailedException):
        made.action.wait_until_finished()
    assert order(api, faults=[{"path": "/servers", "status": 403, "code": "maintenance"}]).status_code == 200
    refused(api, "maintenance", name="t")
    assert order(api, faults=[{"wrong": 1}]).status_code == 422
    url = api.endpoint.removesuffix("/v1") + serve.TROUBLE
    assert requests.put(url, json={}, timeout=10).status_code == 401
