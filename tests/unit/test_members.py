"""Which machines a cluster has."""

from __future__ import annotations

from typing import Any

from drkit.cluster.members import Member, members
from drkit.config.model import Server


def node(name: str, *, server: bool = False, **addresses: str) -> dict[str, Any]:
    """A Node object, in short."""
    listed = [{"type": kind, "address": address} for kind, address in addresses.items()]
    labels = {"node-role.kubernetes.io/control-plane": "true"} if server else {}
    return {"metadata": {"name": name, "labels": labels}, "status": {"addresses": listed}}


LISTED = [
    node("w2", InternalIP="10.0.0.4"),
    node("w1", InternalIP="10.0.0.3", ExternalIP="192.0.2.3"),
    node("mgr", server=True, InternalIP="10.0.0.2"),
]


def test_servers_are_found_by_their_role() -> None:
    """Without servers in the configuration the API's word is taken, and public addresses are preferred."""
    assert members([], LISTED) == (
        Member("mgr", "10.0.0.2", is_server=True),
        Member("w1", "192.0.2.3", is_server=False),
        Member("w2", "10.0.0.4", is_server=False),
    )


def test_the_configuration_counts_for_more() -> None:
    """A configured server has the configured address, under whatever name, and is not listed twice."""
    configured = [Server(name="first", address="10.0.0.2")]
    found = members(configured, LISTED)
    assert [member.name for member in found] == ["first", "w1", "w2"]
    assert members([Server(name="mgr", address="203.0.113.1")], LISTED)[0].address == "203.0.113.1"
    assert members([Server(name="mgr")], LISTED)[0].address == "10.0.0.2"


def test_without_an_api_the_configured_servers_remain() -> None:
    """Where the API cannot be asked, the configured servers are the cluster; a name may be an address."""
    assert members([Server(name="mgr")], []) == (Member("mgr", "mgr", is_server=True),)


def test_a_node_without_addresses_is_reached_by_name() -> None:
    """A node that has not said its address yet is reached by its name."""
    assert members([], [node("w9")]) == (Member("w9", "w9", is_server=False),)
