"""What the stand-in does about load balancers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab import balancer
from drkit.lab.hcloud import catalogue
from drkit.lab.hcloud.project import is_target
from drkit.lab.hcloud.refused import Refused, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.lab.hcloud.project import Project

Raw = dict[str, Any]
Body = dict[str, Any]


def create(project: Project, body: Body) -> Raw:
    """``POST /load_balancers``."""
    kind = next((each for each in catalogue.balancer_types() if each["name"] == body.get("load_balancer_type")), None)
    location = next((each for each in catalogue.locations() if each["name"] == body.get("location")), None)
    if kind is None or location is None:
        raise invalid("load_balancer_type" if kind is None else "location", "is not offered")
    services = [_service(each) for each in body.get("services") or ()]
    network = body.get("network")
    held = None if network is None else project.thing("networks", int(network))
    project.see_name("load_balancers", str(body.get("name") or ""))
    addresses = project.machines.reserve(str(body["name"]))
    enabled = bool(body.get("public_interface", True))
    made = project.add(
        "load_balancers",
        body,
        load_balancer_type=kind,
        location=location,
        algorithm=body.get("algorithm") or {"type": "round_robin"},
        services=services,
        targets=[],
        public_net=_public(addresses.public, enabled=enabled),
        private_net=[] if held is None else [{"network": held["id"], "ip": addresses.private}],
        outgoing_traffic=0,
        ingoing_traffic=0,
        included_traffic=0,
    )
    project.promised[made["id"]] = addresses
    made["targets"] = [_target(project, made, each) for each in body.get("targets") or ()]
    action = project.start("create_load_balancer", ("load_balancer", made["id"]))
    return {"load_balancer": shown(project, made), "action": action.document()}


def _public(address: str, *, enabled: bool) -> Raw:
    return {
        "enabled": enabled,
        "ipv4": {"ip": address, "dns_ptr": None},
        "ipv6": {"ip": None, "dns_ptr": None},
    }


def _service(raw: Mapping[str, Any]) -> Raw:
    check = dict(raw.get("health_check") or {})
    try:
        balancer.Check(check["interval"], check["timeout"], check["retries"])
    except (KeyError, ValueError) as error:
        raise invalid("health_check", str(error)) from None
    return {"proxyprotocol": False, **raw, "health_check": check}


def shown(project: Project, raw: Raw) -> Raw:
    """A load balancer with the health of its targets, as the API gives it."""
    health = project.machines.health(raw["id"])
    return {**raw, "targets": [_with_health(project, raw, each, health) for each in raw["targets"]]}


def _with_health(project: Project, raw: Raw, target: Raw, health: Mapping[tuple[int, int], bool]) -> Raw:
    if target["type"] == "label_selector":
        means = [each for each in project.things["servers"].values() if is_target(target, each)]
        own = {"use_private_ip": target["use_private_ip"]}
        single = [{"type": "server", "server": {"id": each["id"]}, **own} for each in means]
        return {**target, "targets": [_with_health(project, raw, each, health) for each in single]}
    if target["type"] != "server":
        return target
    words = {True: "healthy", False: "unhealthy", None: "unknown"}
    ports = [each["listen_port"] for each in raw["services"]]
    status = [{"listen_port": port, "status": words[health.get((target["server"]["id"], port))]} for port in ports]
    return {**target, "health_status": status}


def _target(project: Project, raw: Raw, body: Mapping[str, Any]) -> Raw:
    """A target that may be added.

    Raises:
        Refused: it is there already, or cannot be reached as wished.
    """
    private = bool(body.get("use_private_ip"))
    networks = {each["network"] for each in raw["private_net"]}
    if private and not networks:
        raise Refused(422, "load_balancer_not_attached_to_network", "the load balancer is in no network")
    if body["type"] == "server":
        server = project.thing("servers", int(body["server"]["id"]))
        if private and not networks & {each["network"] for each in server["private_net"]}:
            raise Refused(422, "resolve_cloud_private_targets_error", "the server is not in the same network")
        if not private and server["public_net"]["ipv4"] is None:
            raise Refused(422, "resolve_cloud_public_targets_error", "the server has no public IPv4 address")
        target: Raw = {"type": "server", "server": {"id": server["id"]}, "use_private_ip": private}
    elif body["type"] == "label_selector":
        selector = str(body["label_selector"]["selector"])
        target = {"type": "label_selector", "label_selector": {"selector": selector}, "use_private_ip": private}
    else:
        raise invalid("type", "this stand-in has no targets by address")
    if any(_same(target, each) for each in raw["targets"]):
        raise Refused(422, "target_already_defined", "the target is defined already")
    if len(raw["targets"]) >= raw["load_balancer_type"]["max_targets"]:
        raise Refused(403, "resource_limit_exceeded", "targets limit exceeded", {"limits": [{"name": "targets"}]})
    return target


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    keys = ("type", "server", "label_selector", "ip")
    return all(first.get(key) == second.get(key) for key in keys)


def act(project: Project, raw: Raw, command: str, body: Body) -> Raw:
    """``POST /load_balancers/{id}/actions/…``."""
    match command:
        case "add_target":
            target = _target(project, raw, body)

            def effect() -> None:
                raw["targets"] = [*raw["targets"], target]

        case "remove_target":
            left = [each for each in raw["targets"] if not _same(each, body)]
            if len(left) == len(raw["targets"]):
                raise Refused(404, "load_balancer_target_not_found", "there is no such target")

            def effect() -> None:
                raw["targets"] = left

        case "attach_to_network":
            network = project.thing("networks", int(body["network"]))
            if network["id"] in [each["network"] for each in raw["private_net"]]:
                raise Refused(409, "load_balancer_already_attached", "it is in that network already")
            address = project.promised[raw["id"]].private

            def effect() -> None:
                raw["private_net"] = [*raw["private_net"], {"network": network["id"], "ip": address}]

        case _:
            raise Refused(404, "not_found", f"this stand-in cannot {command}")
    action = project.start(command, ("load_balancer", raw["id"]), effect=effect)
    return {"action": action.document()}


def delete(project: Project, raw: Raw) -> Raw:
    """``DELETE /load_balancers/{id}``: with an action, as the library reads it since 2.27; before there was none."""

    def effect() -> None:
        project.things["load_balancers"].pop(raw["id"], None)

    action = project.start(
        "delete_load_balancer",
        ("load_balancer", raw["id"]),
        work=lambda: project.machines.remove_balancer(raw["id"]),
        effect=effect,
    )
    return {"action": action.document()}
