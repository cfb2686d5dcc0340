"""From a request to what the project does: method, path, query and body in, status and document out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.lab.hcloud import balancers, catalogue, servers, things, zones
from drkit.lab.hcloud.listing import listed
from drkit.lab.hcloud.project import COLLECTIONS, see_labels
from drkit.lab.hcloud.refused import Refused, invalid, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.lab.hcloud.project import Project

Raw = dict[str, Any]
Answer = tuple[int, Raw | None]

_OFFERED = ("locations", "server_types", "images", "load_balancer_types")
WELCOME = "a stand-in for the Hetzner Cloud API, made by drkit lab; nothing of it is Hetzner's"


def answer(project: Project, method: str, path: str, query: Mapping[str, list[str]], body: Raw) -> Answer:
    """Do what a request asks for.

    Args:
        project: whose lock the caller holds.
        method: HTTP's.
        path: behind ``/v1``.
        query: as ``parse_qs`` gives it.
        body: the JSON document.

    Raises:
        Refused: it cannot be done.
    """
    project.settle()
    parts = [part for part in path.split("/") if part]
    try:
        found = _answer(project, method, parts, query, body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise invalid("body", f"is not understood: {error!r}") from None
    project.settle()
    return found


def _answer(project: Project, method: str, parts: list[str], query: Mapping[str, list[str]], body: Raw) -> Answer:
    match (method, *parts):
        case ("GET",):
            return 200, {"stand_in": WELCOME}
        case ("GET", collection, *rest) if collection in (*_OFFERED, "actions"):
            found = _actions(project) if collection == "actions" else _offered(project, collection)
            return 200, _one(collection, rest[0], found) if rest else _list(collection, found, query)
        case (_, "zones", zone, "rrsets", *rest):
            return _rrsets(project, method, zones.zone_of(project, zone), rest, query, body)
        case ("GET", "zones", zone):
            return 200, {"zone": zones.zone_of(project, zone)}
        case (_, collection, *rest) if collection in COLLECTIONS:
            return _things(project, method, collection, rest, query, body)
        case _:
            raise not_found("/".join(parts))


def _list(key: str, found: Iterable[Raw], query: Mapping[str, list[str]]) -> Raw:
    page, meta = listed(found, query)
    return {key: page, "meta": meta}


def _one(collection: str, number: str, found: Iterable[Raw]) -> Raw:
    for each in found:
        if str(each["id"]) == number:
            return {collection.removesuffix("s"): each}
    raise not_found(f"{collection} {number}")


def _offered(project: Project, collection: str) -> list[Raw]:
    match collection:
        case "locations":
            return catalogue.locations()
        case "server_types":
            return catalogue.server_types(project.trouble.sold_out)
        case "images":
            return catalogue.images()
        case _:
            return catalogue.balancer_types()


def _actions(project: Project) -> list[Raw]:
    return [each.document() for each in project.actions.values()]


def _things(
    project: Project, method: str, collection: str, rest: list[str], query: Mapping[str, list[str]], body: Raw
) -> Answer:
    if rest:
        return _thing(project, method, collection, project.thing(collection, int(rest[0])), rest[1:], query, body)
    if method != "GET":
        return 201, _create(project, collection, body)
    shown = [_shown(project, collection, each) for each in project.things[collection].values()]
    return 200, _list(collection, shown, query)


def _thing(
    project: Project,
    method: str,
    collection: str,
    raw: Raw,
    rest: list[str],
    query: Mapping[str, list[str]],
    body: Raw,
) -> Answer:
    key = COLLECTIONS[collection]
    match (method, *rest):
        case ("GET",):
            return 200, {key: _shown(project, collection, raw)}
        case ("GET", "actions"):
            mine = [each for each in project.actions.values() if (key, raw["id"]) in each.resources]
            return 200, _list("actions", [each.document() for each in mine], query)
        case ("PUT",):
            return 200, {key: _shown(project, collection, _update(project, collection, raw, body))}
        case ("DELETE",):
            return _delete(project, collection, raw)
        case ("POST", "actions", command):
            return 201, _act(project, collection, raw, command, body)
        case _:
            raise Refused(405, "method_not_allowed", f"{method} is not possible here")


def _shown(project: Project, collection: str, raw: Raw) -> Raw:
    return balancers.shown(project, raw) if collection == "load_balancers" else raw


def _create(project: Project, collection: str, body: Raw) -> Raw:
    match collection:
        case "servers":
            return servers.create(project, body)
        case "load_balancers":
            return balancers.create(project, body)
        case "zones":
            return {
                "zone": zones.add_zone(project, str(body["name"])),
                "action": project.start("create_zone").document(),
            }
        case _ if collection in things.MAKERS:
            made = things.MAKERS[collection](project, body)
            answer: Raw = {COLLECTIONS[collection]: made}
            if collection in {"firewalls", "placement_groups", "floating_ips"}:
                answer |= {"action": None, "actions": []}
            return answer
        case _:
            raise Refused(404, "not_found", f"this stand-in makes no {collection}")


def _update(project: Project, collection: str, raw: Raw, body: Raw) -> Raw:
    labels = see_labels(body["labels"]) if body.get("labels") is not None else raw["labels"]
    name = str(body.get("name") or raw["name"])
    if name != raw["name"]:
        project.see_name(collection, name, raw["id"])
        if collection == "servers":
            servers.rename(project, raw, name)
    raw.update(name=name, labels=labels)
    return raw


def _delete(project: Project, collection: str, raw: Raw) -> Answer:
    match collection:
        case "servers":
            return 200, servers.delete(project, raw)
        case "load_balancers":
            return 200, balancers.delete(project, raw)
        case _:
            things.delete(project, collection, raw)
    return 204, None


def _act(project: Project, collection: str, raw: Raw, command: str, body: Raw) -> Raw:
    match (collection, command):
        case ("servers", "poweron" | "poweroff" | "reset"):
            return servers.power(project, raw, command, body)
        case ("load_balancers", _):
            return balancers.act(project, raw, command, body)
        case ("primary_ips", "assign" | "unassign"):
            return servers.assign_primary(project, raw, command, body)
        case ("floating_ips", "assign" | "unassign"):
            return servers.assign_floating(project, raw, command, body)
        case _:
            raise Refused(404, "not_found", f"this stand-in cannot {command}")


def _rrsets(
    project: Project, method: str, zone: Raw, rest: list[str], query: Mapping[str, list[str]], body: Raw
) -> Answer:
    if not rest:
        if method == "GET":
            return 200, _list("rrsets", project.rrsets[zone["id"]].values(), query)
        return 201, zones.create(project, zone, body)
    rrset = zones.rrset_of(project, zone, rest[0], rest[1])
    match (method, *rest[2:]):
        case ("GET",):
            return 200, {"rrset": rrset}
        case ("PUT",):
            rrset["labels"] = see_labels(body["labels"])
            return 200, {"rrset": rrset}
        case ("DELETE",):
            return 200, zones.delete(project, zone, rrset)
        case ("POST", "actions", command):
            return 201, zones.act(project, zone, rrset, command, body)
        case _:
            raise Refused(405, "method_not_allowed", f"{method} is not possible here")
