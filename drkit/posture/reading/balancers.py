"""Load balancers and the names that lead to them, from the topology of Hetzner Cloud. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.settings import Check, Setting
from drkit.posture.snapshot import addresses_of
from drkit.topology.select import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drkit.lab import balancer as lab
    from drkit.posture.snapshot import Snapshot

_DEFAULTS: Final = {"interval": 15.0, "timeout": 10.0, "retries": 3.0}
"""Hetzner's, where a service says nothing (its console's and the API's own)."""


def checks(snapshot: Snapshot) -> tuple[Check, ...]:
    """How each port of each load balancer is checked."""
    return tuple(
        _check(balancer, service, tuple(targets(snapshot, balancer)))
        for balancer in snapshot.hetzner("load_balancers")
        for service in look.items(balancer, "services")
    )


def _check(balancer: dict[str, Any], service: Any, targets: tuple[str, ...]) -> Check:
    name = look.text(balancer, "name")
    port = int(look.number(service, "listen_port") or 0)
    given = look.mapping(service, "health_check")

    def setting(key: str) -> Setting:
        found = look.number(given, key)
        where = f"health check of {name}, port {port}"
        return Setting(_DEFAULTS[key], "Hetzner's default") if found is None else Setting(found, where)

    return Check(
        balancer=name,
        port=port,
        destination=int(look.number(service, "destination_port") or port),
        targets=targets,
        interval=setting("interval"),
        timeout=setting("timeout"),
        retries=setting("retries"),
        proxy=look.at(service, "proxyprotocol") is True,
    )


def targets(snapshot: Snapshot, balancer: dict[str, Any]) -> Iterator[str]:
    """Names of the nodes that a load balancer leads to; the bare address where it is no node's."""
    servers = snapshot.hetzner("servers")
    seen = set()
    for target in look.items(balancer, "targets"):
        for name in _names(target, servers):
            node = _node(snapshot, name, servers)
            if node not in seen:
                seen.add(node)
                yield node


def _names(target: Any, servers: Iterable[dict[str, Any]]) -> list[str]:
    match look.text(target, "type"):
        case "server":
            wanted = look.at(target, "server", "id")
            return [look.text(each, "name") for each in servers if each.get("id") == wanted]
        case "label_selector":
            selector = look.text(target, "label_selector", "selector")
            return [look.text(each, "name") for each in servers if matches(selector, look.mapping(each, "labels"))]
        case "ip":
            address = look.text(target, "ip", "ip")
            return [look.text(each, "name") for each in servers if address in addresses_of(each)] or [address]
        case _:
            return []


def _node(snapshot: Snapshot, server: str, servers: Iterable[dict[str, Any]]) -> str:
    """The node that a server is: the one of its name, else the one with one of its addresses."""
    nodes = snapshot.of("nodes")
    if any(look.name(node) == server for node in nodes):
        return server
    owned = {address for each in servers if look.text(each, "name") == server for address in addresses_of(each)}
    for node in nodes:
        if owned & {look.text(each, "address") for each in look.items(node, "status", "addresses")}:
            return look.name(node)
    return server


def dns_ttl(snapshot: Snapshot) -> Setting | None:
    """How long the longest-lived of the records may be remembered that lead to a load balancer."""
    balanced = {address for each in snapshot.hetzner("load_balancers") for address in addresses_of(each)}
    found = []
    for zone in snapshot.hetzner("zones"):
        for rrset in look.items(zone, "rrsets"):
            values = {look.text(record, "value") for record in look.items(rrset, "records")}
            if look.text(rrset, "type") in {"A", "AAAA"} and values & balanced:
                ttl = look.number(rrset, "ttl") or look.number(zone, "ttl")
                name = f"{look.text(rrset, 'name')}.{look.text(zone, 'name')}".removeprefix("@.")
                found += [] if ttl is None else [Setting(ttl, f"{look.text(rrset, 'type')} record {name}")]
    return max(found, key=lambda each: each.value, default=None)


def lab_checks(setting: lab.Setting, balancer: str) -> tuple[Check, ...]:
    """How the lab's load balancer checks its targets, whose names are those of the nodes."""
    where = f"the lab's load balancer {balancer}"
    return tuple(
        Check(
            balancer=balancer,
            port=service.listen,
            destination=service.destination,
            targets=tuple(sorted(setting.targets)),
            interval=Setting(service.check.interval, where),
            timeout=Setting(service.check.timeout, where),
            retries=Setting(service.check.retries, where),
            proxy=service.proxy,
        )
        for service in setting.services
    )
