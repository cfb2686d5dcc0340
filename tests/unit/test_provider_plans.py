"""The pure half of the providers: names, labels, what is wanted, and what may be taken instead."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import Target
from drkit.errors import ConfigurationError
from drkit.lab.hcloud.project import see_labels
from drkit.providers import naming
from drkit.providers.choices import Catalogue, Choice, choices
from drkit.providers.values import AGENT, SERVER, Alternative, Wanted, WantedServer
from drkit.providers.wanted import wanted

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
hosts = st.from_regex(_HOST, fullmatch=True)
renamed = st.builds(lambda stem, digits: f"{stem[:55]}-r{digits}", hosts, st.from_regex(r"[0-9a-f]{6}", fullmatch=True))
ids = st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}[a-z0-9]", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
)


@given(st.sets(hosts | renamed, max_size=12), ids)
def test_new_names_are_hosts_and_no_two_alike(old: set[str], restore_id: str) -> None:
    """Whatever the nodes are called, the new names are valid hosts' names, distinct, and always the same."""
    new = naming.new_names(old, restore_id, replace=False)
    assert set(new) == old
    assert len(set(new.values())) == len(old)
    assert all(_HOST.fullmatch(name) for name in new.values())
    assert new == naming.new_names(sorted(old), restore_id, replace=False)
    assert naming.new_names(old, restore_id, replace=True) == {name: name for name in old}


def test_names_do_not_grow_with_each_restore() -> None:
    """A node that was restored before loses the earlier restore's ending."""
    first = naming.new_names(["k3s-w1"], "restore-1", replace=False)["k3s-w1"]
    second = naming.new_names([first], "restore-2", replace=False)[first]
    assert first == f"k3s-w1-r{naming.short('restore-1')}"
    assert second == f"k3s-w1-r{naming.short('restore-2')}"


@given(hosts, ids)
def test_what_is_put_aside_has_a_hosts_name(name: str, restore_id: str) -> None:
    """The name of an old server that was put aside is a valid one, and another than it had."""
    aside = naming.put_aside(name, restore_id)
    assert _HOST.fullmatch(aside)
    assert aside != name


@given(json_values, ids, ids)
def test_what_was_there_before_comes_back_from_labels(before: Any, first: str, second: str) -> None:
    """Any JSON goes into labels of the documented form and comes back; others' labels stay, later changes replace."""
    labels = {"cluster": "docfast", naming.MADE_BY: "earlier"}
    marked = naming.changed(first, labels, before)
    assert see_labels(marked) == marked
    assert naming.remembered(marked) == before
    assert naming.unchanged(marked) == labels
    again = naming.changed(second, marked, [])
    assert naming.remembered(again) == []
    assert naming.unchanged(again) == labels


@pytest.mark.parametrize("restore_id", ["", "A", "a_b", "-a", "a" * 64])
def test_an_id_that_no_label_takes_is_refused(restore_id: str) -> None:
    """What everything carries must fit into a label."""
    with pytest.raises(ValueError, match="no id of a restore"):
        Wanted(restore_id, ())


CATALOGUE = Catalogue(
    {"cax11": "arm", "cax21": "arm", "cx22": "x86"},
    {"nbg1": "eu-central", "fsn1": "eu-central", "ash": "us-east"},
    {"nbg1": frozenset({"cax11"}), "fsn1": frozenset(), "ash": frozenset()},
)
alternatives = st.lists(
    st.builds(
        Alternative,
        st.sampled_from([None, *CATALOGUE.architectures]),
        st.sampled_from([None, *CATALOGUE.zones]),
    ),
    max_size=5,
)


def server(kind: str = "cax11", location: str = "nbg1") -> WantedServer:
    """One that is wanted."""
    return WantedServer("new", "old", SERVER, kind, "debian-13", location)


@given(st.sampled_from(sorted(CATALOGUE.architectures)), alternatives)
def test_no_choice_has_another_architecture(kind: str, others: list[Alternative]) -> None:
    """Either all choices have the architecture of the first, which was asked for, or none is returned."""
    try:
        found = choices(server(kind), others, CATALOGUE)
    except ConfigurationError as error:
        assert "architecture" in error.message  # noqa: PT017 - either outcome is right, for different inputs
        assert any(
            CATALOGUE.architectures[each.server_type or kind] != CATALOGUE.architectures[kind] for each in others
        )
        return
    assert found[0] == Choice(kind, "nbg1")
    assert {CATALOGUE.architectures[each.server_type] for each in found} == {CATALOGUE.architectures[kind]}
    assert len(set(found)) == len(found)


def test_a_location_outside_the_networks_zones_is_refused() -> None:
    """A server that could not be in the network is refused before it is made, with the zones that there are."""
    with pytest.raises(ConfigurationError, match="eu-central"):
        choices(server(), [Alternative(location="ash")], CATALOGUE, {"eu-central"})
    with pytest.raises(ConfigurationError, match="no server type"):
        choices(server("cax99"), [], CATALOGUE)
    with pytest.raises(ConfigurationError, match="no location"):
        choices(server(location="nowhere"), [], CATALOGUE)


def raw_server(number: int, name: str, **more: Any) -> dict[str, Any]:
    """A server as a backup knows it."""
    return {
        "id": number,
        "name": name,
        "server_type": {"name": "cax11", "architecture": "arm"},
        "image": {"name": "debian-13", "id": 5},
        "location": {"name": "nbg1"},
        "labels": {"cluster": "docfast", naming.MADE_BY: "earlier"},
        "public_net": {"ipv4": {"ip": f"192.0.2.{number}"}, "ipv6": {"ip": f"2001:db8:{number}::/64"}},
        "private_net": [{"network": 7, "ip": f"10.0.0.{number}"}],
        **more,
    }


def node(name: str, address: str, **labels: str) -> dict[str, Any]:
    """A node as a backup knows it."""
    return {"name": name, "labels": labels, "addresses": [{"type": "InternalIP", "address": address}]}


def document(**hetzner: Any) -> dict[str, Any]:
    """A topology of one server and one agent, whose servers are called otherwise than the nodes."""
    control = {"node-role.kubernetes.io/control-plane": "true"}
    nodes = [node("k3s-w1", "10.0.0.2"), node("k3s-mgr", "10.0.0.1", **control)]
    servers = [raw_server(1, "alpha"), raw_server(2, "beta")]
    return {"format": 1, "nodes": nodes, "hosts": {}, "missing": {}, "hetzner": {"servers": servers, **hetzner}}


def of(topology: dict[str, Any], **target: Any) -> Wanted:
    """What is wanted of it."""
    settled = Target.model_validate({"provider": "hetzner", **target})
    return wanted(topology, settled, "restore-1", [], section="clusters.new")


def test_without_a_word_all_nodes_come_back_as_they_were() -> None:
    """Nothing but the provider in the target: servers first, each with its own server's type, place and labels."""
    found = of(document())
    assert [(each.was, each.role) for each in found.servers] == [("k3s-mgr", SERVER), ("k3s-w1", AGENT)]
    assert {each.server_type for each in found.servers} == {"cax11"}
    assert {each.location for each in found.servers} == {"nbg1"}
    assert [each.name for each in found.old] == ["alpha", "beta"]
    # A mark of an earlier restore is not taken over.
    assert naming.MADE_BY not in found.servers[0].labels
    assert found.servers[0].labels["cluster"] == "docfast"


def test_what_the_user_says_goes_first() -> None:
    """Type, location and image of the target are those of all servers."""
    found = of(
        document(), server_type="cax21", location="hel1", image="debian-12", agents=["k3s-w1"], servers=["k3s-mgr"]
    )
    assert {(each.server_type, each.location, each.image) for each in found.servers} == {("cax21", "hel1", "debian-12")}


def test_a_location_of_before_2025_is_read_too() -> None:
    """Points that were sealed while a server's location stood in its data centre are as good."""
    old = document()
    for each in old["hetzner"]["servers"]:
        each["datacenter"] = {"location": each.pop("location")}
    assert {each.location for each in of(old).servers} == {"nbg1"}


def test_servers_without_public_addresses_stay_private() -> None:
    """A private server gets no public address, and no firewall, which only public ones can have."""
    private = document(
        servers=[raw_server(1, "alpha", public_net={"ipv4": None, "ipv6": None}), raw_server(2, "beta")],
        firewalls=[
            {
                "name": "fw",
                "rules": [],
                "applied_to": [{"type": "label_selector", "label_selector": {"selector": "cluster"}}],
            }
        ],
    )
    first, second = of(private).servers
    assert (first.public_ipv4, first.public_ipv6, first.firewalls) == (False, False, ())
    assert (second.public_ipv4, second.firewalls) == (True, ("fw",))


def test_a_snapshot_is_called_by_its_number() -> None:
    """An image without a name is asked for by its number."""
    snapshot = document(servers=[raw_server(1, "alpha", image={"name": None, "id": 77}), raw_server(2, "beta")])
    assert of(snapshot).servers[0].image == "77"


@pytest.mark.parametrize(
    ("topology", "target", "says"),
    [
        ({}, {}, "servers"),
        ({}, {"servers": ["a"]}, "server_type"),
        ({}, {"servers": ["a"], "server_type": "cax11"}, "image"),
        ({}, {"servers": ["a"], "agents": ["a"], "server_type": "cax11"}, "each name once"),
        (document(networks=[{"name": "a"}, {"name": "b"}]), {}, "one of a, b"),
        (document(load_balancers=[{"name": "a"}, {"name": "b"}]), {}, "one of a, b"),
    ],
)
def test_what_is_not_known_is_asked_for(topology: dict[str, Any], target: dict[str, Any], says: str) -> None:
    """Where neither the backup nor the target says it, the key to add is named."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        of(topology, **target)
    assert caught.value.message.startswith("clusters.new.")


def test_a_backup_without_servers_needs_the_target_alone() -> None:
    """Without a token at backup time the target says all: what is named is adopted, and must be there."""
    found = of(
        {},
        servers=["a"],
        agents=["b"],
        server_type="cax11",
        location="nbg1",
        image="debian-13",
        network="n",
        load_balancer="lb",
    )
    assert found.network is not None
    assert (found.network.name, found.network.ip_range) == ("n", "")
    assert found.balancer is not None
    assert (found.balancer.kind, found.balancer.targets) == ("", (found.servers[1].name,))


def test_elsewhere_nothing_of_hetzners_is_wanted() -> None:
    """A cluster from Hetzner, restored onto other hosts, asks there for no network, firewall or load balancer."""
    target = Target.model_validate({"provider": "ssh", "servers": [{"name": "s1", "address": "192.0.2.1"}]})
    found = wanted(document(networks=[{"name": "a"}]), target, "restore-1", [], section="clusters.spare")
    assert (found.network, found.firewalls, found.placement_groups, found.balancer) == (None, (), (), None)
    assert [each.name for each in found.servers] == ["s1"]
    assert [each.name for each in found.old] == ["k3s-w1", "k3s-mgr"]
