"""What servers stand on: network, firewalls, SSH keys, placement groups; made, or adopted by their names."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from drkit.errors import ProviderFailed
from drkit.providers import naming
from drkit.providers.port import ADOPTED, MADE, Thing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.providers.hcloud.api import Api, Raw
    from drkit.providers.values import Rule, SshKey, Wanted, WantedNetwork

NETWORKS, FIREWALLS, KEYS, GROUPS = "networks", "firewalls", "ssh_keys", "placement_groups"
KINDS = {
    NETWORKS: "network",
    FIREWALLS: "firewall",
    KEYS: "ssh_key",
    GROUPS: "placement_group",
    "servers": "server",
    "load_balancers": "load_balancer",
    "floating_ips": "floating_ip",
    "primary_ips": "primary_ip",
}
"""Each collection, and how the API calls one thing of it."""


def lay(api: Api, wanted: Wanted) -> Iterator[Thing]:
    """Make or adopt all of it; ``found`` then finds it."""
    for collection, name, body in _parts(wanted):
        if collection == NETWORKS and not body["ip_range"]:
            network = api.named(NETWORKS, name)
            if network is None:
                raise ProviderFailed(f"there is no network {name}, and the backup does not know what it was like")
            yield thing(NETWORKS, network, wanted.restore_id)
        else:
            yield thing(collection, ensure(api, collection, name, body, wanted), wanted.restore_id)
    for each in wanted.keys:
        yield thing(KEYS, key(api, each, wanted), wanted.restore_id)


def _parts(wanted: Wanted) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if wanted.network is not None:
        yield NETWORKS, wanted.network.name, _network(wanted.network)
    for firewall in wanted.firewalls:
        yield FIREWALLS, firewall.name, {"rules": [_rule(rule) for rule in firewall.rules]}
    for group in wanted.placement_groups:
        yield GROUPS, group, {"type": "spread"}


def ensure(api: Api, collection: str, name: str, body: Mapping[str, Any], wanted: Wanted) -> Raw:
    """The thing of that name; made with ``body`` where it is not there."""
    found = api.named(collection, name)
    if found is None:
        labels = naming.made(wanted.restore_id, expires=wanted.expires)
        found, started = api.make(collection, KINDS[collection], {**body, "name": name, "labels": labels})
        api.finish(started)
    return found


def key(api: Api, asked: SshKey, wanted: Wanted) -> Raw:
    """The SSH key with that public half, under whatever name: the API takes none twice."""
    same = (each for each in api.all(f"/{KEYS}", KEYS) if each["public_key"].split()[:2] == asked.public_key.split())
    return next(same, None) or ensure(api, KEYS, asked.name, {"public_key": asked.public_key}, wanted)


def found(api: Api, collection: str, name: str) -> Raw:
    """The thing of that name.

    Raises:
        ProviderFailed: it is not there, though ``lay`` has seen to it.
    """
    thing = api.named(collection, name)
    if thing is None:
        raise ProviderFailed(f"the {KINDS[collection].replace('_', ' ')} {name} is gone", "--resume makes it again")
    return thing


def thing(collection: str, raw: Raw, restore_id: str) -> Thing:
    """What became of something, by its label."""
    became = MADE if raw["labels"].get(naming.MADE_BY) == restore_id else ADOPTED
    return Thing(KINDS[collection].replace("_", " "), raw["name"], became)


def _network(network: WantedNetwork) -> dict[str, Any]:
    return {
        "ip_range": network.ip_range,
        "subnets": [
            {"type": each.kind, "ip_range": each.ip_range, "network_zone": each.zone} for each in network.subnets
        ],
        "routes": [asdict(each) for each in network.routes],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {key: value for key, value in asdict(rule).items() if value not in (None, ())}
