"""What the stand-in does about servers, and the addresses that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud import catalogue
from drkit.lab.hcloud.machines import Addresses, MachineSpec
from drkit.lab.hcloud.refused import Refused, invalid, locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.lab.hcloud.project import Project

Raw = dict[str, Any]
Body = dict[str, Any]
_LARGEST_USER_DATA = 32 * 1024
_POWER = {"poweron": "start_server", "poweroff": "stop_server", "reset": "reset_server"}


def create(project: Project, body: Body) -> Raw:
    """``POST /servers``."""
    kind = _offered(catalogue.server_types(project.trouble.sold_out), body, "server_type")
    # The API chooses a location itself where none is named.
    location = _offered(catalogue.locations(), {"location": 1, **body}, "location")
    image = _image(body, kind["architecture"])
    if (kind["name"], location["name"]) in project.trouble.sold_out:
        raise Refused(412, "resource_unavailable", "error during placement: no room")
    user_data = str(body.get("user_data") or "")
    if len(user_data.encode()) > _LARGEST_USER_DATA:
        raise invalid("user_data", "is too long")
    keys = [project.thing("ssh_keys", int(each)) for each in body.get("ssh_keys") or ()]
    networks = [project.thing("networks", int(each)) for each in body.get("networks") or ()]
    firewalls = [project.thing("firewalls", int(each["firewall"])) for each in body.get("firewalls") or ()]
    for network in networks:
        if location["network_zone"] not in [each["network_zone"] for each in network["subnets"]]:
            raise invalid("networks", "has no subnet in this network zone")
    public = body.get("public_net") or {}
    project.see_name("servers", str(body.get("name") or ""))
    addresses = project.machines.reserve(str(body["name"]))
    made = project.add(
        "servers",
        body,
        status="initializing",
        locked=True,
        server_type=kind,
        location=location,
        image=image,
        private_net=[
            {"network": each["id"], "ip": addresses.private, "alias_ips": [], "mac_address": ""} for each in networks
        ],
        placement_group=None,
        **_rest(),
    )
    made["public_net"] = _public(project, made, public, addresses, firewalls)
    for network in networks:
        network["servers"].append(made["id"])
    for firewall in firewalls:
        firewall["applied_to"].append({"type": "server", "server": {"id": made["id"]}})
    if (group := body.get("placement_group")) is not None:
        joined = project.thing("placement_groups", int(group))
        joined["servers"].append(made["id"])
        made["placement_group"] = joined
    spec = MachineSpec(
        made["id"], made["name"], addresses, tuple(each["public_key"] for each in keys), user_data, made["labels"]
    )
    started = _begin(project, made, spec, start=bool(body.get("start_after_create", True)))
    return {"server": made, "root_password": None if keys else "by-order-none", **started}


def _begin(project: Project, made: Raw, spec: MachineSpec, *, start: bool) -> Raw:
    resource = ("server", made["id"])

    def created() -> None:
        made.update(status="off", locked=start)

    def started() -> None:
        made.update(status="running", locked=False)

    creating = project.start("create_server", resource, effect=created, work=lambda: project.machines.create(spec))
    following = []
    if start:
        work = project.start(
            "start_server",
            resource,
            effect=started,
            work=lambda: project.machines.start(made["id"]),
            after=creating,
        )
        following.append(work.document())
    return {"action": creating.document(), "next_actions": following}


def _offered(offered: list[Raw], body: Body, field: str) -> Raw:
    value = body.get(field)
    found = next((each for each in offered if value in (each["name"], each["id"], str(each["id"]))), None)
    if found is None:
        raise invalid(field, f"{value} is not offered")
    return found


def _image(body: Body, architecture: str) -> Raw:
    value = body.get("image")
    for each in catalogue.images():
        if value == each["name"] and each["architecture"] == architecture:
            return each
        if value in (each["id"], str(each["id"])):
            return each
    raise invalid("image", f"{value} is no image for {architecture}")


def _rest() -> Raw:
    """What a client's model of a server reads, and this stand-in has nothing of."""
    return {
        "iso": None,
        "rescue_enabled": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": 0,
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": 40,
    }


def _public(project: Project, made: Raw, wished: Mapping[str, Any], addresses: Addresses, firewalls: list[Raw]) -> Raw:
    public: Raw = {"ipv4": None, "ipv6": None, "floating_ips": []}
    public["firewalls"] = [{"id": each["id"], "status": "applied"} for each in firewalls]
    for family, address in (("ipv4", addresses.public), ("ipv6", addresses.network)):
        if not wished.get(f"enable_{family}", True) or address is None:
            continue
        given = wished.get(family)
        primary = primary_ip(project, made, family, address) if given is None else _assigned(project, made, given)
        public[family] = {"id": primary["id"], "ip": primary["ip"], "blocked": False, "dns_ptr": None}
        if family == "ipv6":
            public[family]["dns_ptr"] = []
    return public


def primary_ip(project: Project, server: Raw, family: str, address: str, **more: Any) -> Raw:
    """A primary address that comes with a server, and goes with it."""
    number = project.number()
    made = {
        "id": number,
        "name": f"primary_ip-{number}",
        "ip": address,
        "type": family,
        "assignee_id": server["id"],
        "assignee_type": "server",
        "auto_delete": True,
        "blocked": False,
        "created": server["created"],
        "dns_ptr": [],
        "labels": {},
        "location": server["location"],
        "protection": {"delete": False},
        **more,
    }
    project.things["primary_ips"][number] = made
    return made


def _assigned(project: Project, server: Raw, number: int) -> Raw:
    primary = project.thing("primary_ips", number)
    if primary["assignee_id"] is not None:
        raise Refused(422, "primary_ip_assigned", "the primary IP is assigned already")
    primary["assignee_id"] = server["id"]
    return primary


def power(project: Project, server: Raw, command: str, _body: Body) -> Raw:
    """``POST /servers/{id}/actions/poweron``, ``poweroff`` and ``reset``."""
    number = server["id"]
    status = "off" if command == "poweroff" else "running"

    def work() -> None:
        if command != "poweron":
            project.machines.stop(number)
        if command != "poweroff":
            project.machines.start(number)

    action = project.start(
        _POWER[command],
        ("server", number),
        work=work,
        effect=lambda: server.update(status=status),
    )
    return {"action": action.document()}


def rename(project: Project, server: Raw, name: str) -> None:
    """``PUT /servers/{id}`` with a name."""
    project.machines.rename(server["id"], name)


def delete(project: Project, server: Raw) -> Raw:
    """``DELETE /servers/{id}``: what it had is let go, what was its own goes too."""
    number = server["id"]
    if project.busy(("server", number)):
        raise locked(f"server {number}")

    server["status"] = "deleting"
    action = project.start(
        "delete_server",
        ("server", number),
        work=lambda: project.machines.remove(number),
        effect=lambda: _let_go(project, number),
    )
    return {"action": action.document()}


def _let_go(project: Project, number: int) -> None:
    things = project.things
    things["servers"].pop(number, None)
    for address in [each for each in things["primary_ips"].values() if each["assignee_id"] == number]:
        address["assignee_id"] = None
        if address["auto_delete"]:
            del things["primary_ips"][address["id"]]
    for address in [each for each in things["floating_ips"].values() if each["server"] == number]:
        address["server"] = None
    for collection, key in (("load_balancers", "targets"), ("firewalls", "applied_to")):
        for each in things[collection].values():
            each[key] = [one for one in each[key] if one.get("server", {}).get("id") != number]
    for collection in ("networks", "placement_groups"):
        for each in things[collection].values():
            each["servers"] = [one for one in each["servers"] if one != number]


def assign_primary(project: Project, address: Raw, command: str, body: Body) -> Raw:
    """``POST /primary_ips/{id}/actions/assign`` and ``unassign``: only while the server is off."""
    holder = int(body["assignee_id"]) if command == "assign" else address["assignee_id"]
    if holder is None:
        raise Refused(422, "primary_ip_not_assigned", "the primary IP is not assigned")
    server = project.thing("servers", holder)
    if server["status"] != "off":
        raise Refused(422, "server_not_stopped", "the server must be powered off")
    if command == "assign" and address["assignee_id"] is not None:
        raise Refused(422, "primary_ip_assigned", "the primary IP is assigned already")

    def effect() -> None:
        address["assignee_id"] = server["id"] if command == "assign" else None
        own = {"id": address["id"], "ip": address["ip"], "blocked": False, "dns_ptr": None}
        server["public_net"][address["type"]] = own if command == "assign" else None

    action = project.start(
        f"{command}_primary_ip", ("primary_ip", address["id"]), ("server", server["id"]), effect=effect
    )
    return {"action": action.document()}


def assign_floating(project: Project, address: Raw, command: str, body: Body) -> Raw:
    """``POST /floating_ips/{id}/actions/assign`` and ``unassign``."""
    server = project.thing("servers", int(body["server"]))["id"] if command == "assign" else None
    action = project.start(
        f"{command}_floating_ip", ("floating_ip", address["id"]), effect=lambda: address.update(server=server)
    )
    return {"action": action.document()}
