"""What the stand-in does about DNS zones and their record sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud.project import see_labels
from drkit.lab.hcloud.refused import Refused, invalid, not_found, not_unique

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.lab.hcloud.project import Project

Raw = dict[str, Any]
Body = dict[str, Any]
_SHORTEST_TTL = 60
ZONE_TTL = 3600


def add_zone(project: Project, name: str) -> Raw:
    """A zone without records, as somebody made it in the console."""
    return project.add(
        "zones",
        {"name": name},
        mode="primary",
        ttl=ZONE_TTL,
        status="ok",
        registrar="other",
        record_count=0,
        primary_nameservers=[],
        authoritative_nameservers={"assigned": [], "delegated": [], "delegation_status": "unknown"},
    )


def zone_of(project: Project, id_or_name: str) -> Raw:
    """A zone by its number or name.

    Raises:
        Refused: there is none.
    """
    for zone in project.things["zones"].values():
        if id_or_name in (str(zone["id"]), zone["name"]):
            return zone
    raise not_found("zone")


def rrset_of(project: Project, zone: Raw, name: str, kind: str) -> Raw:
    """A record set.

    Raises:
        Refused: there is none.
    """
    try:
        return project.rrsets[zone["id"]][f"{name}/{kind}"]
    except KeyError:
        raise not_found("rrset") from None


def create(project: Project, zone: Raw, body: Body) -> Raw:
    """``POST /zones/{id}/rrsets``."""
    name, kind = str(body.get("name") or ""), str(body.get("type") or "")
    if not name or name.endswith((".", zone["name"])) or name != name.lower():
        raise invalid("name", "must be in lower case, and not end with a dot or the zone")
    if f"{name}/{kind}" in project.rrsets[zone["id"]]:
        raise not_unique("name", "name and type")
    made = {
        "id": f"{name}/{kind}",
        "name": name,
        "type": kind,
        "ttl": _ttl(body.get("ttl")),
        "labels": see_labels(body.get("labels") or {}),
        "records": _records(body.get("records") or ()),
        "protection": {"change": False},
        "zone": zone["id"],
    }
    project.rrsets[zone["id"]][made["id"]] = made
    action = project.start("create_rrset", ("zone", zone["id"]))
    return {"rrset": made, "action": action.document()}


def _records(records: Iterable[Any]) -> list[Raw]:
    found = [{"value": str(each["value"]), "comment": each.get("comment")} for each in records]
    values = [each["value"] for each in found]
    if not values or len(set(values)) != len(values):
        raise invalid("records", "must not be empty, and have distinct values")
    return found


def _ttl(ttl: Any) -> int | None:
    if ttl is not None and int(ttl) < _SHORTEST_TTL:
        raise invalid("ttl", f"must be at least {_SHORTEST_TTL}")
    return None if ttl is None else int(ttl)


def act(project: Project, zone: Raw, rrset: Raw, command: str, body: Body) -> Raw:
    """``POST /zones/{id}/rrsets/{name}/{type}/actions/…``."""
    match command:
        case "set_records":
            changed: Raw = {"records": _records(body.get("records") or ())}
        case "change_ttl":
            changed = {"ttl": _ttl(body.get("ttl"))}
        case _:
            raise Refused(404, "not_found", f"this stand-in cannot {command}")
    action = project.start(f"{command}_rrset", ("zone", zone["id"]), effect=lambda: rrset.update(changed))
    return {"action": action.document()}


def delete(project: Project, zone: Raw, rrset: Raw) -> Raw:
    """``DELETE /zones/{id}/rrsets/{name}/{type}``."""

    def effect() -> None:
        project.rrsets[zone["id"]].pop(rrset["id"], None)

    return {"action": project.start("delete_rrset", ("zone", zone["id"]), effect=effect).document()}
