"""The Cluster that takes the place of one whose volumes are lost. Pure.

The operator refuses a Cluster whose status knows instances that have no volumes, and one that begins with a recovery
looks for what may be gone. So it is made anew, without its status, to begin empty (``bootstrap.initdb``) and with the
secrets that are there: https://cloudnative-pg.io/documentation/1.25/bootstrap/. What was in it comes out of the dumps.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.kube import Object

RESTORE: Final = "drkit.dev/restore"
"""The annotation of what a restore has made: its id."""
_PLUGIN: Final = "barman-cloud.cloudnative-pg.io"
_HELD: Final = {
    "cnpg.io/hibernation": "it does not hibernate any more",
    "cnpg.io/fencedInstances": "none of its instances is fenced any more",
    "cnpg.io/reconciliationLoop": "the operator looks after it again",
}
"""Annotations that keep an instance from running, and what is said of their absence."""
_INITDB: Final = frozenset(
    {
        *("encoding", "locale", "localeCollate", "localeCType", "localeProvider", "icuLocale", "icuRules"),
        *("builtinLocale", "walSegmentSize", "dataChecksums", "options"),
    }
)
"""What of ``initdb`` concerns the server's files; everything else about them is in the dumps."""
_METHODS: Final = ("initdb", "recovery", "pg_basebackup")
_OURS: Final = re.compile(r"-drkit-[0-9a-z-]+$")
_MAJOR: Final = re.compile(r":(\d{1,3})(?:[.-][^/]*)?$")
_QUANTITY: Final = re.compile(r"(\d{1,18}(?:\.\d{0,9})?)(|[kMGTPE]|[KMGTPE]i)")
_UNITS: Final = "KMGTPE"


@dataclass(frozen=True)
class Remade:
    """A Cluster to be made.

    Attributes:
        cluster: the object.
        database: the empty database that it begins with.
        owner: whose that is; the secret of the applications has their password.
        warnings: what is not as it was, as sentences.
    """

    cluster: Object
    database: str
    owner: str
    warnings: tuple[str, ...]


def remake(
    found: Object, secrets: Iterable[Object], databases: Mapping[str, Mapping[str, Any]], restore: str
) -> Remade:
    """The Cluster to be made in place of one.

    Args:
        found: the Cluster as it was sealed, or as it stands in a restored datastore.
        secrets: those of its namespace.
        databases: the details of its sealed databases, by the databases' names.
        restore: the restore's id; it becomes part of the name under which backups of its own are kept.
    """
    made = {key: value for key, value in strip(found).items() if key in {"apiVersion", "kind", "metadata", "spec"}}
    name = str(found["metadata"]["name"])
    spec = dict(_mapping(made.get("spec")))
    said: list[str] = []
    metadata, lifted = _metadata(_mapping(made.get("metadata")), restore)
    said += lifted
    method, asked = _asked(spec)
    secret = str(_mapping(asked.get("secret")).get("name") or f"{name}-app")
    login = _login(secret, secrets)
    database = str(asked.get("database") or login.get("dbname") or "app")
    owner = str(asked.get("owner") or login.get("username") or database)
    kept = {key: value for key, value in asked.items() if method == "initdb" and key in _INITDB}
    kept |= _locale(databases.get(database, {}))
    spec["bootstrap"] = {"initdb": {**kept, "database": database, "owner": owner, "secret": {"name": secret}}}
    said += _dropped(method, asked, spec)
    said += _renamed(name, spec, restore.lower())
    return Remade({**made, "metadata": metadata, "spec": spec}, database, owner, tuple(said))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _metadata(metadata: Mapping[str, Any], restore: str) -> tuple[Object, list[str]]:
    annotations = _mapping(metadata.get("annotations"))
    kept = {key: value for key, value in annotations.items() if key not in _HELD}
    said = [text for key, text in _HELD.items() if key in annotations]
    # What waited for an older one's end has nothing to wait for.
    result = {key: value for key, value in metadata.items() if key != "finalizers"}
    return {**result, "annotations": {**kept, RESTORE: restore}}, said


def _asked(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """How it began, and what was asked for then."""
    bootstrap = _mapping(spec.get("bootstrap"))
    return next(((each, _mapping(bootstrap[each])) for each in _METHODS if each in bootstrap), ("initdb", {}))


def _login(secret: str, secrets: Iterable[Object]) -> dict[str, str]:
    """What a secret for the applications says, the password apart."""
    data = next((_mapping(each.get("data")) for each in secrets if each["metadata"].get("name") == secret), {})
    found = {}
    for key in ("username", "dbname"):
        try:
            text = base64.b64decode(data.get(key, ""), validate=True).decode()
        except (binascii.Error, TypeError, ValueError):
            continue
        if text and text != "*":
            found[key] = text
    return found


def _locale(details: Mapping[str, Any]) -> Object:
    """Encoding and locale of the database as it was; nothing where its descriptor does not say."""
    was = _mapping(details.get("properties"))
    if not details.get("encoding") or not was.get("collate") or not was.get("ctype"):
        return {}
    found = {"encoding": details["encoding"], "localeCollate": was["collate"], "localeCType": was["ctype"]}
    if was.get("locale"):
        key = {"icu": "icuLocale", "builtin": "builtinLocale"}.get(str(was.get("provider")))
        found |= {"localeProvider": was["provider"], key: was["locale"]} if key else {}
    return found


def _dropped(method: str, asked: Mapping[str, Any], spec: Object) -> Iterator[str]:
    if method != "initdb":
        yield f"it begins empty and not by {method}: what is in it comes out of the dumps"
    if spec.pop("replica", None) is not None:
        yield "it is a cluster of its own and no replica of another one"
    if spec.pop("externalClusters", None):
        yield "it names no other clusters any more (externalClusters)"
    rest = sorted(asked.keys() - _INITDB - {"database", "owner", "secret"}) if method == "initdb" else []
    if rest:
        yield f"what was run once when it began is not run again ({', '.join(rest)})"


def _renamed(name: str, spec: Object, restore: str) -> Iterator[str]:
    """Let it keep its backups under a new name, so that those of the dead cluster are never written to."""

    def fresh(holder: Mapping[str, Any]) -> str:
        return f"{_OURS.sub('', str(holder.get('serverName') or name))}-drkit-{restore}"

    backup = _mapping(spec.get("backup"))
    store = _mapping(backup.get("barmanObjectStore"))
    if store:
        spec["backup"] = {**backup, "barmanObjectStore": {**store, "serverName": fresh(store)}}
        yield _where(store, fresh(store), name)
    plugins = spec.get("plugins")
    if isinstance(plugins, list):
        spec["plugins"] = list(plugins)
        for number, plugin in enumerate(plugins):
            if _mapping(plugin).get("isWALArchiver") or _mapping(plugin).get("name") == _PLUGIN:
                told = _mapping(plugin.get("parameters"))
                spec["plugins"][number] = {**plugin, "parameters": {**told, "serverName": fresh(told)}}
                yield _where(told, fresh(told), name)


def _where(holder: Mapping[str, Any], fresh: str, name: str) -> str:
    return f"its own backups and WAL go to {fresh}; those until now stay under {holder.get('serverName') or name}"


def major(cluster: Object) -> int | None:
    """The major version of PostgreSQL that a Cluster asks for; nothing where it does not say. Pure."""
    spec = _mapping(cluster.get("spec"))
    catalogue: object = _mapping(spec.get("imageCatalogRef")).get("major")
    if isinstance(catalogue, int):
        return catalogue
    tag = _MAJOR.search(str(spec.get("imageName") or "").partition("@")[0])
    return int(tag[1]) if tag else None


def volume_bytes(cluster: Object) -> int | None:
    """The size that a Cluster asks for its data; nothing where it does not say. Pure."""
    storage = _mapping(_mapping(cluster.get("spec")).get("storage"))
    template = _mapping(_mapping(storage.get("pvcTemplate")).get("resources"))
    asked = storage.get("size") or _mapping(template.get("requests")).get("storage")
    quantity = _QUANTITY.fullmatch(str(asked or ""))
    if quantity is None:
        return None
    power = _UNITS.find(quantity[2][:1].upper()) + 1 if quantity[2] else 0
    return int(Decimal(quantity[1]) * (1024 if quantity[2].endswith("i") else 1000) ** power)


def problems(cluster: Object, databases: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why the dumps cannot go into a Cluster, as far as it says so itself; none where nothing speaks against it. Pure.

    Args:
        cluster: the Cluster to be made.
        databases: the details of the databases that are to go into it, by their names.
    """
    found = []
    here = major(cluster)
    for name, details in sorted(databases.items()):
        there = int(str(_mapping(details.get("versions")).get("postgresql", 0)).partition(".")[0])
        if here is not None and here < there:
            found.append(f"it is PostgreSQL {here}, the dump of {name} is from {there}")
    needed = sum(int(details.get("disk_bytes") or 0) for details in databases.values())
    room = volume_bytes(cluster)
    if room is not None and room < needed:
        found.append(f"its volumes have {room} bytes, its databases took {needed}")
    return found
