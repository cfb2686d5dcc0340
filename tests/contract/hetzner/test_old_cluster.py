"""What becomes of the old cluster: what of it is adopted, made again, fenced or renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.errors import PreflightFailed, ProviderFailed
from drkit.providers import naming
from drkit.providers.port import ADOPTED, MADE
from tests import old_cluster
from tests.contract.hetzner.steps import all_of_it
from tests.old_cluster import RESTORE, asked, build, client, lose, state

if TYPE_CHECKING:
    from drkit.lab.hcloud.memory import MemoryMachines
    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.hetzner import HetznerProvider


def test_what_is_there_is_adopted_and_kept(api: StandIn, provider: HetznerProvider, machines: MemoryMachines) -> None:
    """Network, firewall, group and load balancer stay the old ones; the load balancer keeps its address."""
    document = build(api)
    before = document["hetzner"]["load_balancers"][0]
    wanted = asked(document)
    became = {each.name: each.became for each in provider.foundation(wanted)}
    assert became == {
        "k3s-net": ADOPTED,
        "k3s-fw": ADOPTED,
        "k3s-spread": ADOPTED,
        f"drkit-{naming.short(RESTORE)}": MADE,
    }
    for each in wanted.servers:
        provider.server(wanted, each.name)
    found = provider.balancer(wanted)
    assert found is not None
    assert (found.addresses, found.became) == ((before["public_net"]["ipv4"]["ip"],), ADOPTED)
    assert len(api.project.things["load_balancers"]) == 1
    assert {spec.name for spec in machines.specs.values()} == {
        *old_cluster.NODES,
        "shop",
        *(s.name for s in wanted.servers),
    }


def test_what_is_gone_is_made_as_it_was(api: StandIn, provider: HetznerProvider) -> None:
    """A rebuilt project differs from the lost one by names and marks of the servers alone."""
    document = build(api)
    before = state(api)
    lose(api, "servers", "load_balancers", "firewalls", "placement_groups", "networks")
    wanted = asked(document)
    provider.foundation(wanted)
    for each in wanted.servers:
        provider.server(wanted, each.name)
    provider.balancer(wanted)
    for collection, keys in (
        ("networks", ("name", "ip_range", "subnets", "routes")),
        ("firewalls", ("name", "rules")),
        ("placement_groups", ("name", "type")),
        ("load_balancers", ("name", "services", "algorithm", "load_balancer_type", "location")),
    ):
        there = {each["name"]: each for each in api.project.things[collection].values()}
        for old in document["hetzner"][collection]:
            assert {key: there[old["name"]][key] for key in keys} == {key: old[key] for key in keys}
    # By the same selector: all that it means is this restore's own.
    assert state(api)["balancers"]["k3s-lb"][0] == before["balancers"]["k3s-lb"][0]
    now = state(api)["servers"]
    for server in wanted.servers:
        new, old = now[server.name], before["servers"][server.was]
        assert {**new, "labels": None} == {**old, "labels": None}
        assert new["labels"] == {**old["labels"], naming.MADE_BY: RESTORE, naming.STANDS_FOR: server.was}


def test_new_servers_get_no_traffic_before_they_are_asked_for(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """A label selector of the old load balancer would mean the new servers at once: it is gone before they come."""
    wanted = asked(build(api))
    provider.foundation(wanted)
    made = [provider.server(wanted, each.name) for each in wanted.servers]
    api.project.close()
    targets = next(iter(machines.balanced.values()))[1]
    assert len(targets) == 2
    assert not set(targets.values()) & {address for each in made for address in (*each.public, *each.private)}


def test_an_old_server_that_comes_back_gets_no_traffic(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """Old servers carry the labels too: while they are there the new targets are named one by one."""
    wanted = asked(build(api))
    made = {each.private[0] for each in all_of_it(provider, wanted, power_off=False) if "-w" in each.name}
    api.project.close()
    assert set(next(iter(machines.balanced.values()))[1].values()) == made


def test_fencing_takes_the_power_and_the_traffic_of_the_old_servers_alone(
    api: StandIn, provider: HetznerProvider, machines: MemoryMachines
) -> None:
    """Old servers are off and no targets any more; a stranger's server runs on."""
    wanted = asked(build(api))
    fenced = provider.fence(wanted, power_off=True)
    assert all(each.off and each.detached for each in fenced)
    assert len(fenced) == 3
    assert [machines.specs[number].name for number in machines.running] == ["shop"]
    assert state(api)["balancers"]["k3s-lb"][0] == []


def test_taking_over_the_names_deletes_nothing(api: StandIn, provider: HetznerProvider) -> None:
    """With ``replace`` the old servers are off and called otherwise; destroy gives them their names back."""
    document = build(api)
    before = state(api)
    wanted = asked(document, replace=True)
    all_of_it(provider, wanted)
    servers = state(api)["servers"]
    for name in old_cluster.NODES:
        assert servers[name]["status"] == "running"
        assert servers[naming.put_aside(name, RESTORE)]["status"] == "off"
    provider.destroy(RESTORE)
    after = state(api)
    for name in old_cluster.NODES:
        assert after["servers"][name].pop("status") == "off"
        before["servers"][name].pop("status")
    assert after == before


def test_a_strangers_name_is_not_taken_over(api: StandIn, provider: HetznerProvider) -> None:
    """A server of the wanted name that is none of the old cluster's is neither touched nor adopted."""
    document = build(api)
    lose(api, "servers")
    client(api).request("POST", "/servers", json={"name": "k3s-w1", "server_type": "cax11", "image": "debian-13"})
    wanted = asked(document, replace=True)
    with pytest.raises(PreflightFailed, match="k3s-w1"):
        provider.check(wanted)
    before = state(api)["servers"]["k3s-w1"]
    provider.foundation(wanted)
    with pytest.raises(ProviderFailed, match="none of the old cluster's"):
        provider.server(wanted, "k3s-w1")
    assert state(api)["servers"]["k3s-w1"] == before


def test_an_address_that_outlives_its_server_is_taken_over(api: StandIn, provider: HetznerProvider) -> None:
    """With ``replace`` a primary address that is kept goes to the new server, and back again with destroy."""
    build(api)
    project = api.project
    with project.lock:
        old = next(each for each in project.things["servers"].values() if each["name"] == "k3s-w1")
        number = old["public_net"]["ipv4"]["id"]
        address = project.things["primary_ips"][number]
        address.update(auto_delete=False, name="kept")
    wanted = asked(old_cluster.topology(api), replace=True)
    provider.foundation(wanted)
    assert provider.server(wanted, "k3s-w1").address == address["ip"]
    provider.destroy(RESTORE)
    assert address["assignee_id"] == old["id"]
    assert address["labels"] == {}


def test_a_floating_address_is_led_to_the_new_server(api: StandIn, provider: HetznerProvider) -> None:
    """It goes to the server that stands for the one that had it, and back again with destroy."""
    build(api)
    own = client(api)
    holder = own.servers.get_by_name("k3s-mgr")
    assert holder is not None
    own.floating_ips.create("ipv4", name="entry", server=holder)
    wanted = asked(old_cluster.topology(api))
    provider.foundation(wanted)
    made = {each.name: provider.server(wanted, each.name) for each in wanted.servers}
    provider.balancer(wanted)
    entry = own.floating_ips.get_by_name("entry")
    assert entry is not None
    assert entry.server is not None
    assert entry.server.name == next(name for name in made if "mgr" in name)
    provider.destroy(RESTORE)
    entry.reload()
    assert entry.server.id == holder.id
    assert entry.labels == {}
