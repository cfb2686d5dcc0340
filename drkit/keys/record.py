"""What the last export kept, as this machine remembers it: fingerprints alone; and whether that is still so."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit import state
from drkit.keys.bundle import fingerprints
from drkit.points import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.keys.bundle import Material


@dataclass(frozen=True)
class Record:
    """The last export: when (UTC), its file and that file's SHA-256, and the fingerprint of each item by its name."""

    made: str
    file: str
    sha256: str
    items: Mapping[str, str]


def _file(cluster: str) -> Path:
    return state.state_dir() / "escrow" / f"{names.slug(cluster)}.json"


def remember(cluster: str, record: Record) -> None:
    """Keep it on this machine, in place of the one before."""
    state.write_durably(_file(cluster), json.dumps(asdict(record), indent=2))


def last(cluster: str) -> Record | None:
    """The last one; none where this machine knows of none, or not any more."""
    try:
        found: Any = json.loads(_file(cluster).read_text(encoding="utf-8"))
        items = {str(name): str(mark) for name, mark in found["items"].items()}
        return Record(str(found["made"]), str(found["file"]), str(found["sha256"]), items)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def newer(record: Record, now: Material) -> list[str]:
    """The names of the items that are not in it as they are now."""
    return _newer(record, fingerprints(now.cluster, now.items))


def _newer(record: Record, marks: Mapping[str, str]) -> list[str]:
    return [name for name, mark in marks.items() if record.items.get(name) != mark]


def differences(record: Record, now: Material) -> list[str]:
    """What is not any more as it was kept, as sentences; nothing where the escrow is up to date.

    What cannot be read now counts for nothing: there is something else that complains of it.
    """
    marks = fingerprints(now.cluster, now.items)
    said = [
        f"{name} is not in it" if name not in record.items else f"{name} has changed since"
        for name in _newer(record, marks)
    ]
    unread = {each.name for each in now.missing}
    return said + [f"{name} is not used any more" for name in record.items if name not in marks and name not in unread]
