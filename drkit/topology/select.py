"""What of a Hetzner Cloud project belongs to a cluster: its servers, and all that leads to them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from drkit.topology.hetzner import Project

_FLEETING = {
    "servers": ("status", "outgoing_traffic", "ingoing_traffic", "included_traffic", "rescue_enabled", "locked"),
    "load_balancers": ("outgoing_traffic", "ingoing_traffic", "included_traffic"),
}
"""What changes by itself, and would make each point differ from the one before."""


def belonging(project: Project, names: Collection[str], addresses: Collection[str]) -> dict[str, Any]:
    """The cluster's part of the project.

    Args:
        project: the whole, as ``hetzner.read`` gives it.
        names: of the cluster's nodes.
        addresses: of the cluster's nodes, public and private.

    Returns:
        The same collections. A server belongs to the cluster by one of its addresses, or by its name where no address
        is known. Networks, firewalls, placement groups, volumes and addresses belong to it through a server, load
        balancers through a target, zones through a record with the address of one of these. SSH keys all do: the API
        does not tell which server was made with which.
    """
    servers = [
        server
        for server in project["servers"]
        if addresses_of(server) & set(addresses) or (not addresses and server["name"] in names)
    ]
    ids = {server["id"] for server in servers}
    balancers = [each for each in project["load_balancers"] if _leads_to(each, servers)]
    networks = {each["network"] for owner in (*servers, *balancers) for each in owner.get("private_net", [])}
    floating = [each for each in project["floating_ips"] if each.get("server") in ids]
    reached_by = {address for owner in (*servers, *balancers) for address in addresses_of(owner)}
    reached_by |= {each["ip"] for each in floating}
    zones = [zone for zone in project["zones"] if reached_by & set(_record_values(zone))]
    found = {
        "servers": servers,
        "networks": [each for each in project["networks"] if each["id"] in networks],
        "firewalls": [each for each in project["firewalls"] if _applies(each, servers)],
        "load_balancers": balancers,
        "floating_ips": floating,
        "primary_ips": [each for each in project["primary_ips"] if each.get("assignee_id") in ids],
        "placement_groups": [each for each in project["placement_groups"] if ids & set(each.get("servers", []))],
        "ssh_keys": project["ssh_keys"],
        "volumes": [each for each in project["volumes"] if each.get("server") in ids],
        "zones": zones,
    }
    return {collection: _lasting(collection, each) for collection, each in found.items()}


def addresses_of(thing: Mapping[str, Any]) -> set[str]:
    """The addresses of a server or load balancer, public and private."""
    public = thing.get("public_net") or {}
    found = {(public.get(family) or {}).get("ip") for family in ("ipv4", "ipv6")}
    found |= {each.get("ip") for each in thing.get("private_net", [])}
    return {address for address in found if address}


def _leads_to(balancer: Mapping[str, Any], servers: Iterable[Mapping[str, Any]]) -> bool:
    return any(_is_target(target, server) for target in balancer.get("targets", []) for server in servers)


def _is_target(target: Mapping[str, Any], server: Mapping[str, Any]) -> bool:
    match target.get("type"):
        case "server":
            return bool(target["server"]["id"] == server["id"])
        case "label_selector":
            return matches(target["label_selector"]["selector"], server.get("labels", {}))
        case "ip":
            return target["ip"]["ip"] in addresses_of(server)
        case _:
            return False


def _applies(firewall: Mapping[str, Any], servers: Iterable[Mapping[str, Any]]) -> bool:
    return any(_is_target(each, server) for each in firewall.get("applied_to", []) for server in servers)


def matches(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether a label selector means a thing with these labels.

    Source: Hetzner Cloud API, "Label Selector": ``k==v``, ``k=v``, ``k!=v``, ``k``, ``!k``, ``k in (v,w)``,
    ``k notin (v,w)``, joined by commas.
    """
    return all(_term(term.strip(), labels) for term in _terms(selector) if term.strip())


def _terms(selector: str) -> Iterator[str]:
    depth = begin = 0
    for position, character in enumerate(selector):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield selector[begin:position]
            begin = position + 1
    yield selector[begin:]


def _term(term: str, labels: Mapping[str, str]) -> bool:
    for word, wanted in ((" notin ", False), (" in ", True)):
        key, found, values = term.partition(word)
        if found:
            listed = {value.strip() for value in values.strip().strip("()").split(",")}
            return (labels.get(key.strip()) in listed) is wanted
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        key, found, value = term.partition(sign)
        if found:
            return (labels.get(key.strip()) == value.strip()) is wanted
    return term[1:].strip() not in labels if term.startswith("!") else term in labels


def _record_values(zone: Mapping[str, Any]) -> Iterator[str]:
    for record_set in zone.get("rrsets", []):
        if record_set.get("type") in {"A", "AAAA"}:
            yield from (record["value"] for record in record_set.get("records", []))


def _lasting(collection: str, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without what changes by itself, in an order that does not depend on the API's."""
    fleeting = _FLEETING.get(collection, ())
    kept = [{key: value for key, value in each.items() if key not in fleeting} for each in found]
    for balancer in kept if collection == "load_balancers" else ():
        balancer["targets"] = [_without_health(target) for target in balancer.get("targets", [])]
    return sorted(kept, key=lambda each: (str(each.get("name")), json.dumps(each.get("id"))))


def _without_health(target: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in target.items() if key != "health_status"}
    # What a label selector means at the moment is a consequence, with its own health.
    if "targets" in kept:
        kept["targets"] = [_without_health(each) for each in kept["targets"]]
    return kept
