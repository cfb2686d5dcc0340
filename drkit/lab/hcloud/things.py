"""What the stand-in does about networks, firewalls, SSH keys, placement groups and floating addresses."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud.refused import Refused, invalid, not_unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.lab.hcloud.project import Project

Raw = dict[str, Any]
Body = dict[str, Any]


def network(project: Project, body: Body) -> Raw:
    """``POST /networks``."""
    try:
        whole = ipaddress.ip_network(body.get("ip_range") or "")
        subnets = [_subnet(each, whole) for each in body.get("subnets") or ()]
    except (ValueError, KeyError) as error:
        raise invalid("ip_range", str(error)) from None
    return project.add(
        "networks",
        body,
        ip_range=str(whole),
        subnets=subnets,
        routes=body.get("routes") or [],
        servers=[],
        load_balancers=[],
        expose_routes_to_vswitch=False,
    )


def _subnet(raw: Raw, whole: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Raw:
    part = ipaddress.ip_network(raw["ip_range"])
    if not (isinstance(part, ipaddress.IPv4Network) and isinstance(whole, ipaddress.IPv4Network)):
        raise ValueError(f"{part} is no IPv4 network")  # noqa: TRY004 - a value of the request
    if not part.subnet_of(whole):
        raise ValueError(f"{part} is no part of {whole}")
    return {**raw, "gateway": str(whole[1]), "vswitch_id": None}


def firewall(project: Project, body: Body) -> Raw:
    """``POST /firewalls``."""
    rules = [
        {"description": None, "port": None, "source_ips": [], "destination_ips": [], **each}
        for each in body.get("rules") or ()
    ]
    for rule in rules:
        if rule["direction"] == "in" and not rule["source_ips"]:
            raise invalid("rules", "a rule for incoming traffic needs source_ips")
    return project.add("firewalls", body, rules=rules, applied_to=list(body.get("apply_to") or ()))


def ssh_key(project: Project, body: Body) -> Raw:
    """``POST /ssh_keys``."""
    key = str(body.get("public_key") or "")
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, ValueError):
        raise invalid("public_key", "is no public key") from None
    digits = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    if any(each["fingerprint"] == fingerprint for each in project.things["ssh_keys"].values()):
        raise not_unique("public_key", "SSH key with the same fingerprint")
    return project.add("ssh_keys", body, public_key=key, fingerprint=fingerprint)


def placement_group(project: Project, body: Body) -> Raw:
    """``POST /placement_groups``."""
    return project.add("placement_groups", body, type=body.get("type") or "spread", servers=[])


def floating_ip(project: Project, body: Body) -> Raw:
    """``POST /floating_ips``."""
    address = project.machines.reserve(str(body.get("name") or "")).public
    return project.add(
        "floating_ips",
        body,
        ip=address,
        type=body.get("type") or "ipv4",
        server=body.get("server"),
        home_location=None,
        description=body.get("description"),
        blocked=False,
        dns_ptr=[],
    )


MAKERS: dict[str, Callable[[Project, Body], Raw]] = {
    "networks": network,
    "firewalls": firewall,
    "ssh_keys": ssh_key,
    "placement_groups": placement_group,
    "floating_ips": floating_ip,
}


def delete(project: Project, collection: str, raw: Raw) -> None:
    """``DELETE /<collection>/{id}``."""
    if collection == "firewalls" and raw["applied_to"]:
        raise Refused(422, "resource_in_use", "the firewall is still applied to a resource")
    if collection == "networks":
        for holder in (*project.things["servers"].values(), *project.things["load_balancers"].values()):
            holder["private_net"] = [each for each in holder["private_net"] if each["network"] != raw["id"]]
    del project.things[collection][raw["id"]]
