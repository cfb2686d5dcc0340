"""Servers: made where there is room, adopted by the next run, the old cluster's put aside or off."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import ProviderFailed
from drkit.providers import hostkeys, naming
from drkit.providers.choices import Catalogue, Choice, choices
from drkit.providers.hcloud import foundation
from drkit.providers.hcloud.api import SOLD_OUT
from drkit.providers.port import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.providers.hcloud.api import Api, Raw
    from drkit.providers.values import OldServer, Wanted, WantedServer

SERVERS, PRIMARY = "servers", "primary_ips"
_ATTEMPTS = 3
"""How often a server is made again whose making failed for a reason that may not come again."""
_AGAIN_SECONDS = 30.0
"""Between two rounds through all that is sold out."""


def ensure(api: Api, wanted: Wanted, name: str) -> Server:
    """The server, running; see ``Provider.server``."""
    asked = wanted.server(name)
    for attempt in range(1, _ATTEMPTS + 1):
        found = _to_go_on_with(api, wanted, name)
        try:
            return _server(_running(api, found or _make(api, wanted, asked)), asked.was)
        except ProviderFailed as error:
            left = api.named(SERVERS, name)
            if left is None or attempt == _ATTEMPTS or not _came_to_nothing(api, left):
                raise
            api.reporter.note(f"{name}: {error.message}; it is made again")
    raise AssertionError  # the loop returns or raises


def _to_go_on_with(api: Api, wanted: Wanted, name: str) -> Raw | None:
    """The server that an earlier run made. What else is in the way goes out of it."""
    found = api.named(SERVERS, name)
    if found is not None and not is_ours(found, wanted.restore_id):
        put_aside(api, found, wanted)
        return None
    if found is not None and _came_to_nothing(api, found):
        api.delete(f"/servers/{found['id']}")
        return None
    return found


def is_ours(raw: Raw, restore_id: str) -> bool:
    """Whether this restore made it."""
    return bool(raw["labels"].get(naming.MADE_BY) == restore_id)


def catalogue(api: Api) -> Catalogue:
    """What Hetzner offers now."""
    types, locations = api.all("/server_types", "server_types"), api.all("/locations", "locations")
    return Catalogue(
        {each["name"]: each["architecture"] for each in types},
        {each["name"]: each["network_zone"] for each in locations},
        {
            location["name"]: frozenset(each["name"] for each in types if _is_available(each, location["name"]))
            for location in locations
        },
    )


def _is_available(server_type: Raw, location: str) -> bool:
    """Whether it can be had there; the API says so since 2025, before that only where it has a price."""
    listed = server_type.get("locations")
    if listed is None:
        return any(each["location"] == location for each in server_type["prices"])
    return any(each["name"] == location and each.get("available", True) for each in listed)


def network_zones(api: Api, wanted: Wanted) -> set[str] | None:
    """The network zones that servers can be in; None where there is no network."""
    if wanted.network is None:
        return None
    there = api.named(foundation.NETWORKS, wanted.network.name)
    if there is None:
        return {subnet.zone for subnet in wanted.network.subnets}
    return {each["network_zone"] for each in there["subnets"]}


def _make(api: Api, wanted: Wanted, asked: WantedServer) -> Raw:
    """Make it where there is room; where there is none, again and again within the bound."""
    tried = choices(asked, wanted.alternatives, catalogue(api), network_zones(api, wanted))
    body = _body(api, wanted, asked)
    until = time.monotonic() + api.patience
    while True:
        for choice in tried:
            made = _try(api, body, choice)
            if made is not None:
                return made
        listed = ", ".join(map(str, tried))
        if time.monotonic() > until:
            raise ProviderFailed(
                f"{asked.name}: sold out for {api.patience:.0f} s: {listed}",
                "name others of the same architecture in the target's alternatives:"
                " [{location: fsn1}, {server_type: cax21}], then --resume",
                code="resource_unavailable",
            )
        api.reporter.note(f"{asked.name}: sold out: {listed}; asking again")
        process.pause(min(_AGAIN_SECONDS, max(api.pause, api.patience / 10)))


def _try(api: Api, body: dict[str, Any], choice: Choice) -> Raw | None:
    """Make it there; None where there is no room."""
    placed = {**body, "server_type": choice.server_type, "location": choice.location}
    key = hostkeys.generate()
    placed["labels"] = {**body["labels"], **hostkeys.labels((key.public, key.public))}
    placed["user_data"] = hostkeys.user_data(key)
    try:
        made, started = api.make(SERVERS, "server", placed)
    except ProviderFailed as error:
        if error.code in SOLD_OUT:
            return None
        raise
    try:
        api.finish(started)
    except ProviderFailed as error:
        if error.code in SOLD_OUT:
            api.delete(f"/servers/{made['id']}")
            return None
        raise
    return made


def _body(api: Api, wanted: Wanted, asked: WantedServer) -> dict[str, Any]:
    public: dict[str, Any] = {"enable_ipv4": asked.public_ipv4, "enable_ipv6": asked.public_ipv6}
    for name in asked.primary_addresses:
        address = api.named(PRIMARY, name)
        if address is not None and address["assignee_id"] is None:
            public[address["type"]] = address["id"]
    body: dict[str, Any] = {
        "name": asked.name,
        "image": asked.image,
        "labels": naming.made(wanted.restore_id, asked.labels, wanted.expires) | {naming.STANDS_FOR: asked.was},
        "ssh_keys": [foundation.key(api, each, wanted)["id"] for each in wanted.keys],
        "public_net": public,
        "start_after_create": True,
    }
    if wanted.network is not None:
        body["networks"] = [foundation.found(api, foundation.NETWORKS, wanted.network.name)["id"]]
    if asked.firewalls:
        ids = [foundation.found(api, foundation.FIREWALLS, name)["id"] for name in asked.firewalls]
        body["firewalls"] = [{"firewall": each} for each in ids]
    if asked.placement_group is not None:
        body["placement_group"] = foundation.found(api, foundation.GROUPS, asked.placement_group)["id"]
    return body


def _running(api: Api, server: Raw) -> Raw:
    """The server when it runs. What an earlier run started there is waited for first."""
    path = f"/servers/{server['id']}"
    api.finish(api.all(f"{path}/actions", "actions", status="running"))
    last: Raw = {}

    def runs() -> bool:
        nonlocal last
        last = foundation.found(api, SERVERS, server["name"])
        if last["status"] == "off":
            api.act(f"{path}/actions/poweron")
        return bool(last["status"] == "running")

    api.wait(f"{server['name']} does not run", runs)
    return last


def _came_to_nothing(api: Api, server: Raw) -> bool:
    """Whether making it failed, so that there is nothing to go on with."""
    actions = api.all(f"/servers/{server['id']}/actions", "actions")
    return any(each["command"] == "create_server" and each["status"] == "error" for each in actions)


def put_aside(api: Api, server: Raw, wanted: Wanted) -> None:
    """Take the name, and the addresses that outlive it, from a server of the old cluster, which is powered off.

    Raises:
        ProviderFailed: it is none, or nobody said that its name shall be taken over.
    """
    name = server["name"]
    if not wanted.replace:
        raise ProviderFailed(
            f"there is a server {name} that this restore did not make", "rename it, or say --replace", code="taken"
        )
    if not any(_is(server, old) for old in wanted.old):
        raise ProviderFailed(f"there is a server {name} that is none of the old cluster's", "rename it", code="taken")
    taken = [each for each in api.all(f"/{PRIMARY}", PRIMARY) if each["name"] in wanted.server(name).primary_addresses]
    mine = [each["id"] for each in taken if each["assignee_id"] == server["id"]]
    power_off(api, server)
    if mine:
        for each in mine:
            # Its labels say where it belongs, before it is taken from there.
            address = next(one for one in taken if one["id"] == each)
            labels = naming.changed(wanted.restore_id, address["labels"], {"assignee_id": server["id"]})
            api.change(f"/primary_ips/{each}", "primary_ip", labels=labels)
            api.act(f"/primary_ips/{each}/actions/unassign")
    labels = naming.changed(wanted.restore_id, server["labels"], {"name": name})
    api.change(f"/servers/{server['id']}", "server", name=naming.put_aside(name, wanted.restore_id), labels=labels)


def power_off(api: Api, server: Raw) -> None:
    """Cut its power, as if the cord were pulled; one that is off stays off."""
    if server["status"] != "off":
        api.act(f"/servers/{server['id']}/actions/poweroff")


def old_servers(api: Api, wanted: Wanted) -> Iterator[tuple[OldServer, Raw | None]]:
    """Each server of the old cluster as it is now; None where it is gone."""
    there = api.all(f"/{SERVERS}", SERVERS)
    for old in wanted.old:
        now = (each for each in there if _is(each, old) and not is_ours(each, wanted.restore_id))
        yield old, next(now, None)


def _is(server: Raw, old: OldServer) -> bool:
    return bool(server["id"] == old.id if old.id is not None else server["name"] == old.name)


def pin(api: Api, name: str, host_keys: Sequence[str]) -> Raw:
    """Change what its labels say of its host keys."""
    raw = foundation.found(api, SERVERS, name)
    kept = {key: value for key, value in raw["labels"].items() if key not in {hostkeys.LABEL, hostkeys.FIRST_LABEL}}
    return api.change(f"/servers/{raw['id']}", "server", labels={**kept, **hostkeys.labels(host_keys)})


def _server(raw: Raw, was: str) -> Server:
    public, private = public_addresses(raw), tuple(str(each["ip"]) for each in raw["private_net"])
    return Server(
        name=raw["name"],
        was=was,
        address=(*public, *private)[0],
        public=public,
        private=private,
        host_keys=hostkeys.pinned(raw["labels"]),
        server_type=raw["server_type"]["name"],
        location=(raw.get("location") or raw["datacenter"]["location"])["name"],
        first_key=hostkeys.FIRST_LABEL in raw["labels"],
    )


def public_addresses(raw: Raw) -> tuple[str, ...]:
    """The public addresses of a server or load balancer. Of a server's IPv6 network the first address is meant."""
    net = raw["public_net"]
    given = [str(net[family]["ip"]) for family in ("ipv4", "ipv6") if net.get(family) and net[family].get("ip")]
    return tuple(str(ipaddress.ip_network(each)[1]) if "/" in each else each for each in given)
