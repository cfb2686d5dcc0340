"""DNS records in Hetzner's zones. What a record was like before stands in its own labels, so that no crash loses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.errors import PreflightFailed, ProviderFailed
from drkit.providers import naming
from drkit.providers.hcloud.api import NOT_UNIQUE
from drkit.providers.port import Change, Record

if TYPE_CHECKING:
    from drkit.providers.hcloud.api import Api, Raw


def read(api: Api, name: str, kind: str) -> Record | None:
    """See ``Provider.record``."""
    found = api.get(_path(api, name, kind)[0], "rrset")
    return None if found is None else _record(name, found)


def point(api: Api, restore_id: str, record: Record) -> Change:
    """See ``Provider.point``."""
    path, zone, label = _path(api, record.name, record.kind)
    found = api.get(path, "rrset")
    values = [{"value": value} for value in record.values]
    if found is None:
        body: dict[str, Any] = {
            "name": label,
            "type": record.kind,
            "records": values,
            "labels": naming.made(restore_id),
        }
        if record.ttl is not None:
            body["ttl"] = record.ttl
        try:
            api.finish([api.post(f"/zones/{zone['id']}/rrsets", body)["action"]])
        except ProviderFailed as error:
            if error.code != NOT_UNIQUE:
                raise
            # The answer was lost, and the record has come about; or somebody was quicker.
            return point(api, restore_id, record)
        return Change(None, record)
    if found["labels"].get(naming.MADE_BY) == restore_id:
        before = None
    elif found["labels"].get(naming.CHANGED_BY) == restore_id:
        before = _remembered(record, found)
    else:
        before = _record(record.name, found)
        then = {"records": found["records"], "ttl": found["ttl"]}
        api.change(path, "rrset", labels=naming.changed(restore_id, found["labels"], then))
    _set(api, path, found, values, record.ttl if record.ttl is not None else found["ttl"])
    return Change(before, record)


def _set(api: Api, path: str, found: Raw, records: list[Any], ttl: int | None) -> None:
    if [each["value"] for each in found["records"]] != [each["value"] for each in records]:
        api.act(f"{path}/actions/set_records", {"records": records})
    if found["ttl"] != ttl:
        api.act(f"{path}/actions/change_ttl", {"ttl": ttl})


def put_back(api: Api, zone: Raw, found: Raw) -> None:
    """Give a record set that was changed what it had."""
    path = f"/zones/{zone['id']}/rrsets/{found['name']}/{found['type']}"
    then = naming.remembered(found["labels"])
    _set(api, path, found, then["records"], then["ttl"])
    api.change(path, "rrset", labels=naming.unchanged(found["labels"]))


def _path(api: Api, name: str, kind: str) -> tuple[str, Raw, str]:
    """The record set's path, its zone, and its name in that zone.

    Raises:
        PreflightFailed: the project has no zone for it.
    """
    name = name.rstrip(".").lower()
    zones = {each["name"]: each for each in api.all("/zones", "zones")}
    parts = name.split(".")
    for begin in range(len(parts)):
        zone = zones.get(".".join(parts[begin:]))
        if zone is not None:
            label = ".".join(parts[:begin]) or "@"
            return f"/zones/{zone['id']}/rrsets/{label}/{kind}", zone, label
    known = ", ".join(sorted(zones)) or "none"
    raise PreflightFailed(
        f"the Hetzner project has no DNS zone for {name} (it has: {known})",
        "change the record by hand, or where the name's DNS is",
    )


def _record(name: str, found: Raw) -> Record:
    return Record(name, found["type"], tuple(str(each["value"]) for each in found["records"]), found["ttl"])


def _remembered(record: Record, found: Raw) -> Record:
    then = naming.remembered(found["labels"])
    return Record(record.name, record.kind, tuple(str(each["value"]) for each in then["records"]), then["ttl"])
