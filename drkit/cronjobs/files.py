"""The rendered tree on disk, and what an earlier one tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit import bounded_yaml
from drkit.config.model import CnpgDatabase, DsnDatabase, source_names
from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.config.model import Database
    from drkit.cronjobs.tree import Tree


def write(tree: Tree, to: Path) -> None:
    """Write the tree; an earlier one's files that it has no more go, where they are in a place of its own.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        for overlay in {path.split("/")[1] for path in tree.files if path.startswith("overlays/")}:
            for old in (to / "overlays" / overlay).glob("*/*.yaml"):
                if str(old.relative_to(to)) not in tree.files and old.name.startswith("drkit"):
                    old.unlink()
        for path, text in tree.files.items():
            file = to / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--to: {error.filename} cannot be written: {error.strerror}") from None


def before(to: Path | None, overlay: str) -> dict[str, int]:
    """The share of each database in the tree that is there: as its pods' configurations have it."""
    found: dict[str, int] = {}
    place = None if to is None else to / "overlays" / overlay
    for file in sorted(place.glob("*databases-*/drkit-*.yaml")) if place is not None else ():
        number = file.stem.partition("-")[2]
        if not number.isdecimal():
            continue
        for database in _databases(file):
            found |= dict.fromkeys(source_names(database), int(number))
    return found


def sizes(points: Path | None) -> dict[str, int]:
    """Bytes of each source in the newest of the listed points that has it.

    Raises:
        ConfigurationError: the file is not what ``drkit points list --json`` says.
    """
    if points is None:
        return {}
    found: dict[str, int] = {}
    try:
        for point in json.loads(points.read_text(encoding="utf-8"))["points"]:
            for source in point["sources"]:
                found.setdefault(str(source["name"]), int(source["size"]))
    except OSError as error:
        raise ConfigurationError(f"--points: {points} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"--points: {points}: expected what drkit points list --json says") from None
    return found


def _databases(file: Path) -> list[Database]:
    try:
        document: Any = bounded_yaml.load(file.read_text(encoding="utf-8"), YAML(typ="safe", pure=True))
        listed: list[Mapping[str, Any]] = document.get("databases") or []
        if document.get("sealing") == "together":
            return []  # it has all of them, and backs up none
        return [
            CnpgDatabase.model_validate(each) if "cnpg" in each else DsnDatabase.model_validate(each) for each in listed
        ]
    except (OSError, YAMLError, ValueError, AttributeError, TypeError):
        return []  # somebody changed it by hand: its databases are dealt anew
