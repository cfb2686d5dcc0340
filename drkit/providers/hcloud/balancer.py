"""The load balancer and floating addresses: what leads to the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.errors import ProviderFailed
from drkit.providers import naming
from drkit.providers.hcloud import foundation, servers
from drkit.providers.port import ADOPTED, MADE, Balancer, Fenced, TargetHealth
from drkit.topology import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.providers.hcloud.api import Api, Raw
    from drkit.providers.values import Service, Wanted, WantedBalancer

BALANCERS, FLOATING = "load_balancers", "floating_ips"
_ALREADY = "target_already_defined"

Target = tuple[str, int | str, bool]
"""A target as a value: its type, what it names, and whether by the private address."""


def ensure(api: Api, wanted: Wanted) -> Balancer | None:
    """The load balancer with the new servers as its targets, and with no others; see ``Provider.balancer``."""
    _lead_floating(api, wanted)
    asked = wanted.balancer
    if asked is None:
        return None
    raw = api.named(BALANCERS, asked.name)
    raw = _make(api, asked, wanted) if raw is None else remember(api, raw, wanted.restore_id)
    path = f"/load_balancers/{raw['id']}"
    if asked.private and wanted.network is not None:
        network = foundation.found(api, foundation.NETWORKS, wanted.network.name)
        if network["id"] not in [each["network"] for each in raw["private_net"]]:
            api.act(f"{path}/actions/attach_to_network", {"network": network["id"]})
    led = set(_targets(api, asked, wanted))
    there = set(targets_of(raw))
    for target in sorted(led - there, key=str):
        api.act(f"{path}/actions/add_target", body_of(target), done=[_ALREADY])
    for target in sorted(there - led, key=str):
        remove_target(api, raw, target)
    became = MADE if servers.is_ours(raw, wanted.restore_id) else ADOPTED
    public = servers.public_addresses(raw) if asked.public else ()
    private = tuple(each["ip"] for each in raw["private_net"])
    return Balancer(asked.name, public or private, became, asked.targets)


def keep_out(api: Api, wanted: Wanted) -> None:
    """See that no label selector of the old load balancer means the new servers before their data is there.

    The servers that it means now stay its targets, by name, so that nothing changes for who is served still.
    """
    raw = None if wanted.balancer is None else api.named(BALANCERS, wanted.balancer.name)
    if raw is None or servers.is_ours(raw, wanted.restore_id):
        return
    there = api.all("/servers", "servers")
    for target in targets_of(raw):
        if target[0] != "label_selector" or not any(
            select.matches(str(target[1]), server.labels) for server in wanted.servers
        ):
            continue
        means = [each for each in there if leads_to(target, each)]
        if any(servers.is_ours(each, wanted.restore_id) for each in means):
            continue  # ``ensure`` was there already, and put it back
        remember(api, raw, wanted.restore_id)
        for each in means:
            one = ("server", each["id"], target[2])
            api.act(f"/load_balancers/{raw['id']}/actions/add_target", body_of(one), done=[_ALREADY])
        remove_target(api, raw, target)


def remember(api: Api, raw: Raw, restore_id: str) -> Raw:
    """Write what targets it has into its labels, before the first of them goes; not where it is this restore's own."""
    raw = foundation.found(api, BALANCERS, raw["name"])
    if servers.is_ours(raw, restore_id) or raw["labels"].get(naming.CHANGED_BY) == restore_id:
        return raw
    labels = naming.changed(restore_id, raw["labels"], [list(each) for each in targets_of(raw)])
    return api.change(f"/load_balancers/{raw['id']}", "load_balancer", labels=labels)


def _make(api: Api, asked: WantedBalancer, wanted: Wanted) -> Raw:
    body: dict[str, Any] = {
        "load_balancer_type": asked.kind,
        "location": asked.location,
        "algorithm": {"type": asked.algorithm},
        "services": [_service(each) for each in asked.services],
        "public_interface": asked.public,
    }
    if asked.private and wanted.network is not None:
        body["network"] = foundation.found(api, foundation.NETWORKS, wanted.network.name)["id"]
    made = foundation.ensure(api, BALANCERS, asked.name, body, wanted)
    # The addresses come while it is made.
    return foundation.found(api, BALANCERS, made["name"])


def _service(service: Service) -> dict[str, Any]:
    check = service.check
    body: dict[str, Any] = {
        "protocol": service.protocol,
        "listen_port": service.listen_port,
        "destination_port": service.destination_port,
        "proxyprotocol": service.proxyprotocol,
        "health_check": {
            "protocol": check.protocol,
            "port": check.port,
            "interval": check.interval,
            "timeout": check.timeout,
            "retries": check.retries,
        },
    }
    if check.http is not None:
        body["health_check"]["http"] = dict(check.http)
    if service.http is not None:
        body["http"] = dict(service.http)
    return body


def _targets(api: Api, asked: WantedBalancer, wanted: Wanted) -> Iterator[Target]:
    """By the selector that there was, where it means this restore's servers alone; else one by one.

    An old server that is still there may carry the same labels, and must not get traffic again when it comes back.
    """
    there = api.all("/servers", "servers")
    chosen = [each for each in there if each["name"] in asked.targets and servers.is_ours(each, wanted.restore_id)]
    if missing := set(asked.targets) - {each["name"] for each in chosen}:
        raise ProviderFailed(f"{asked.name}: its targets are not there: {', '.join(sorted(missing))}")
    means = [each for each in there if asked.selector and select.matches(asked.selector, each["labels"])]
    if {each["id"] for each in means} == {each["id"] for each in chosen}:
        yield "label_selector", asked.selector, asked.private
    else:
        yield from (("server", each["id"], asked.private) for each in chosen)


def targets_of(raw: Raw) -> Iterator[Target]:
    """The targets of a load balancer, as values."""
    for each in raw["targets"]:
        kind = each["type"]
        private = bool(each.get("use_private_ip"))
        match kind:
            case "server":
                yield kind, each["server"]["id"], private
            case "label_selector":
                yield kind, each["label_selector"]["selector"], private
            case _:
                yield kind, each["ip"]["ip"], private


def body_of(target: Target) -> dict[str, Any]:
    """A target as the API wants it."""
    kind, what, private = target
    inner = {"server": "id", "label_selector": "selector", "ip": "ip"}[kind]
    # An IP target has no choice of the kind.
    return {"type": kind, kind: {inner: what}, **({} if kind == "ip" else {"use_private_ip": private})}


def remove_target(api: Api, raw: Raw, target: Target) -> None:
    """Take a target away; one that is not there is fine."""
    body = {key: value for key, value in body_of(target).items() if key != "use_private_ip"}
    api.act(f"/load_balancers/{raw['id']}/actions/remove_target", body, done=["load_balancer_target_not_found"])


def fence(api: Api, wanted: Wanted, *, power_off: bool) -> Iterator[Fenced]:
    """See ``Provider.fence``."""
    asked = wanted.balancer
    raw = None if asked is None else api.named(BALANCERS, asked.name)
    there = list(servers.old_servers(api, wanted))
    if raw is not None and not servers.is_ours(raw, wanted.restore_id):
        raw = remember(api, raw, wanted.restore_id)
        for target in targets_of(raw):
            if any(now is not None and leads_to(target, now) for _, now in there):
                remove_target(api, raw, target)
    for old, now in there:
        if now is not None and power_off:
            servers.power_off(api, now)
        off = now is None or power_off or now["status"] == "off"
        yield Fenced(old.name, off, detached=raw is not None, there=now is not None)


def leads_to(target: Target, server: Mapping[str, Any]) -> bool:
    """Whether it sends traffic to that server."""
    kind, what, _ = target
    match kind:
        case "server":
            return bool(server["id"] == what)
        case "label_selector":
            return select.matches(str(what), server["labels"])
        case _:
            return what in select.addresses_of(server)


def health(api: Api, wanted: Wanted) -> Iterator[TargetHealth]:
    """See ``Provider.health``."""
    if wanted.balancer is None:
        return
    raw = foundation.found(api, BALANCERS, wanted.balancer.name)
    mine = {each["id"]: str(each["name"]) for each in api.labelled("servers", naming.MADE_BY, wanted.restore_id)}
    for each in single(raw["targets"]):
        if each["server"]["id"] in mine:
            for found in each.get("health_status") or ():
                yield TargetHealth(mine[each["server"]["id"]], found["listen_port"], found["status"])


def single(targets: Iterable[Raw]) -> Iterator[Raw]:
    """Targets that are servers, those that a label selector means among them."""
    for each in targets:
        if each["type"] == "label_selector":
            yield from single(each.get("targets") or ())
        elif each["type"] == "server":
            yield each


def _lead_floating(api: Api, wanted: Wanted) -> None:
    for each in wanted.floating:
        address = api.named(FLOATING, each.name)
        if address is None:
            api.reporter.warn(f"the floating address {each.name} is gone")
            continue
        server = foundation.found(api, "servers", each.server)
        if address["server"] == server["id"]:
            continue
        if address["labels"].get(naming.CHANGED_BY) != wanted.restore_id:
            labels = naming.changed(wanted.restore_id, address["labels"], {"server": address["server"]})
            api.change(f"/floating_ips/{address['id']}", "floating_ip", labels=labels)
        api.act(f"/floating_ips/{address['id']}/actions/assign", {"server": server["id"]})
