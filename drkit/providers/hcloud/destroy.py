"""Removing what one restore made, and nothing else; what it changed of other things is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.providers import naming
from drkit.providers.hcloud import balancer, dns, foundation, servers
from drkit.providers.port import PUT_BACK, REMOVED, Thing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from drkit.providers.hcloud.api import Api, Raw

_ORDER = (
    "load_balancers",
    "servers",
    "floating_ips",
    "primary_ips",
    "firewalls",
    "placement_groups",
    "networks",
    "ssh_keys",
)
"""What uses others goes before them."""


def destroy(api: Api, restore_id: str) -> Iterator[Thing]:
    """See ``Provider.destroy``. Servers that were powered off stay off: which cluster lives is the user's to say."""
    yield from _records(api, restore_id)
    for raw in api.labelled(balancer.BALANCERS, naming.CHANGED_BY, restore_id):
        yield _targets(api, raw)
    for raw in api.labelled(balancer.FLOATING, naming.CHANGED_BY, restore_id):
        yield _floating(api, raw)
    for collection in _ORDER:
        for raw in api.labelled(collection, naming.MADE_BY, restore_id):
            if api.delete(f"/{collection}/{raw['id']}"):
                yield Thing(foundation.KINDS[collection].replace("_", " "), raw["name"], REMOVED)
    for raw in api.labelled(servers.PRIMARY, naming.CHANGED_BY, restore_id):
        yield _primary(api, raw)
    for raw in api.labelled(servers.SERVERS, naming.CHANGED_BY, restore_id):
        name = naming.remembered(raw["labels"])["name"]
        api.change(f"/servers/{raw['id']}", "server", name=name, labels=naming.unchanged(raw["labels"]))
        yield Thing("server", name, PUT_BACK)


def outlived(api: Api, now: datetime) -> tuple[str, ...]:
    """See ``Provider.outlived``."""
    made = (api.all(f"/{each}", each, label_selector=naming.MADE_BY) for each in _ORDER)
    return naming.outlived((raw["labels"] for listed in made for raw in listed), now)


def _records(api: Api, restore_id: str) -> Iterator[Thing]:
    for zone in api.all("/zones", "zones"):
        path = f"/zones/{zone['id']}/rrsets"
        for each in api.all(path, "rrsets", label_selector=f"{naming.MADE_BY}=={restore_id}"):
            if api.delete(f"{path}/{each['name']}/{each['type']}"):
                yield Thing("record", _full(each, zone), REMOVED)
        for each in api.all(path, "rrsets", label_selector=f"{naming.CHANGED_BY}=={restore_id}"):
            dns.put_back(api, zone, each)
            yield Thing("record", _full(each, zone), PUT_BACK)


def _full(record: Raw, zone: Raw) -> str:
    name = zone["name"] if record["name"] == "@" else f"{record['name']}.{zone['name']}"
    return f"{name} {record['type']}"


def _targets(api: Api, raw: Raw) -> Thing:
    """Give a load balancer the targets that it had, as far as they are there; what others added since stays."""
    path = f"/load_balancers/{raw['id']}"
    had: list[balancer.Target] = [(kind, what, private) for kind, what, private in naming.remembered(raw["labels"])]
    there = api.all("/servers", "servers")
    ids = {each["id"] for each in there}
    restore_id = raw["labels"][naming.CHANGED_BY]
    mine = [each for each in there if servers.is_ours(each, restore_id)]
    # Those that a selector means which comes back stood in for it; see ``balancer.keep_out``.
    meant = [each for each in there for target in had if target[0] != "server" and balancer.leads_to(target, each)]
    for target in balancer.targets_of(raw):
        if target not in had and any(balancer.leads_to(target, each) for each in (*mine, *meant)):
            balancer.remove_target(api, raw, target)
    for target in had:
        if target not in balancer.targets_of(raw) and (target[0] != "server" or target[1] in ids):
            api.act(f"{path}/actions/add_target", balancer.body_of(target), done=["target_already_defined"])
    api.change(path, "load_balancer", labels=naming.unchanged(raw["labels"]))
    return Thing("load balancer", raw["name"], PUT_BACK)


def _floating(api: Api, raw: Raw) -> Thing:
    server = naming.remembered(raw["labels"])["server"]
    path = f"/floating_ips/{raw['id']}"
    if server is not None and api.get(f"/servers/{server}", "server") is not None:
        api.act(f"{path}/actions/assign", {"server": server})
    elif raw["server"] is not None:
        api.act(f"{path}/actions/unassign")
    api.change(path, "floating_ip", labels=naming.unchanged(raw["labels"]))
    return Thing("floating address", raw["name"], PUT_BACK)


def _primary(api: Api, raw: Raw) -> Thing:
    """Give an address back to the server that had it, which is off: nothing else may be given one."""
    path = f"/primary_ips/{raw['id']}"
    had = naming.remembered(raw["labels"])["assignee_id"]
    if raw["assignee_id"] is None and api.get(f"/servers/{had}", "server") is not None:
        api.act(f"{path}/actions/assign", {"assignee_id": had, "assignee_type": "server"})
    api.change(path, "primary_ip", labels=naming.unchanged(raw["labels"]))
    return Thing("primary address", raw["name"], PUT_BACK)
