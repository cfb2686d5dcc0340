"""The machines of a cluster: which ones it has, what it calls them, and where they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.cluster.kube import Api, Object
    from drkit.config.model import Server

NODES = "/api/v1/nodes"
_SERVER_ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_BY_PREFERENCE = ("ExternalIP", "InternalIP")
"""Who backs up a cluster is seldom inside of its private network; where a node has one address, it is an InternalIP."""


@dataclass(frozen=True)
class Member:
    """A machine: its name in the cluster, where it is reached, and whether it runs the control plane."""

    name: str
    address: str
    is_server: bool


def nodes(api: Api) -> list[Object]:
    """The cluster's Node objects.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let one list them.
    """
    return [node for page in api.pages(NODES) for node in page["items"]]


def members(configured: Sequence[Server], listed: Iterable[Object]) -> tuple[Member, ...]:
    """All machines, servers first; the configuration of a server counts for more than what the API says. Pure.

    Args:
        configured: the servers in ``drkit.yaml``; where there are none, the API's word is taken.
        listed: Node objects; none where the API could not be asked.
    """
    from_api = {member.name: member for member in map(_member, listed)}
    servers = [
        Member(server.name, server.address or _address_in(from_api, server.name), is_server=True)
        for server in configured
    ] or [member for member in from_api.values() if member.is_server]
    named = {server.name for server in servers} | {server.address for server in servers}
    others = [
        member for member in from_api.values() if not member.is_server and not {member.name, member.address} & named
    ]
    by_name = sorted(servers, key=lambda member: member.name), sorted(others, key=lambda member: member.name)
    return (*by_name[0], *by_name[1])


def _address_in(known: dict[str, Member], name: str) -> str:
    """Where the API knows a server to be; else its name, which the resolver or ssh may know."""
    return known[name].address if name in known else name


def _member(node: Object) -> Member:
    metadata = node["metadata"]
    addresses = {each["type"]: each["address"] for each in node.get("status", {}).get("addresses", [])}
    address = next((addresses[kind] for kind in _BY_PREFERENCE if kind in addresses), metadata["name"])
    labels = metadata.get("labels", {})
    return Member(metadata["name"], address, is_server=any(role in labels for role in _SERVER_ROLES))
