"""What changed between two points, source by source: tables and rows, versions, sizes. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.points.descriptor import Descriptor, SourceEntry


@dataclass(frozen=True)
class Change:
    """One difference: where, what kind (``added``, ``removed``, ``changed``), and the values before and after."""

    source: str
    what: str
    change: str
    before: Any = None
    after: Any = None

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def between(old: Descriptor, new: Descriptor) -> tuple[Change, ...]:
    """All differences, in the order of the sources' names."""
    before = {source.name: source for source in old.sources}
    after = {source.name: source for source in new.sources}
    changes: list[Change] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            changes.append(Change(name, "source", "removed"))
        elif name not in before:
            changes.append(Change(name, "source", "added"))
        else:
            changes += _source(before[name], after[name])
    return tuple(changes)


def _source(old: SourceEntry, new: SourceEntry) -> list[Change]:
    name = new.name
    changes = []
    if old.status != new.status:
        changes.append(Change(name, "status", "changed", old.status, new.status))
    if not (old.ok and new.ok):
        return changes
    changes += mapping(name, "table", _rows(old), _rows(new))
    changes += [
        Change(name, f"contents of table {table}", "changed")
        for table, checksum in _checksums(old).items()
        if _checksums(new).get(table, checksum) != checksum
    ]
    changes += _files(old, new)
    changes += mapping(name, "sequence", _last_values(old), _last_values(new))
    changes += mapping(name, "extension", _extensions(old), _extensions(new))
    return changes + mapping(name, "", _plain(old), _plain(new))


def _files(old: SourceEntry, new: SourceEntry) -> list[Change]:
    """Files that came, went and changed. What they hold may be secret: only that it is another is shown."""
    before, after = old.details.get("files", {}), new.details.get("files", {})
    return [
        Change(
            new.name, path, "changed" if path in before and path in after else "added" if path in after else "removed"
        )
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _plain(source: SourceEntry) -> dict[str, Any]:
    versions = source.details.get("versions", {})
    values = {
        "large objects": _proof(source).get("large_objects"),
        "PostgreSQL": versions.get("postgresql"),
        "Kubernetes": versions.get("kubernetes"),
        "k3s": versions.get("k3s"),
        "bytes": source.size if source.kind == "database" else None,
        "statements": source.details.get("digest"),
    }
    return {name: value for name, value in values.items() if value is not None}


def mapping(source: str, what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The differences between two sets of named values; ``what`` stands before each name."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        label = f"{what} {key}".strip()
        if key not in old or key not in new:
            changes.append(Change(source, label, "added" if key in new else "removed", old.get(key), new.get(key)))
        elif old[key] != new[key]:
            changes.append(Change(source, label, "changed", old[key], new[key]))
    return changes


def _proof(source: SourceEntry) -> Mapping[str, Any]:
    proof: Mapping[str, Any] = source.details.get("proof", {})
    return proof


def _rows(source: SourceEntry) -> dict[str, int]:
    return {name: table["rows"] for name, table in _proof(source).get("tables", {}).items()}


def _checksums(source: SourceEntry) -> dict[str, str]:
    tables = _proof(source).get("tables", {})
    return {name: table["checksum"] for name, table in tables.items() if "checksum" in table}


def _last_values(source: SourceEntry) -> dict[str, int]:
    return {name: state[0] for name, state in _proof(source).get("sequences", {}).items()}


def _extensions(source: SourceEntry) -> dict[str, str]:
    return dict(source.details.get("versions", {}).get("extensions", {}))
