"""What is to be put right about machines whose power or traffic was taken away, noted on this machine before it is.

A note is there from the arming of a fault to its undo, and is how a later run finds what an earlier one left. It holds
no secret.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.providers.power import Recall, recall_from_json
from drkit.state import state_dir, write_durably

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = ".json"


@dataclass(frozen=True)
class Note:
    """What one fault has to put right.

    Attributes:
        name: the injection's, unique among all.
        cluster: whose machine it is.
        fault: its kind.
    """

    name: str
    cluster: str
    fault: str
    recall: Recall


def path_of(name: str) -> Path:
    """Where the note of that name is, or would be."""
    return state_dir() / "drills" / "undo" / f"{name}{_SUFFIX}"


def write(note: Note) -> Path:
    """Keep a note, in place of one of its name."""
    path = path_of(note.name)
    data = {"cluster": note.cluster, "fault": note.fault, "recall": note.recall.as_json()}
    write_durably(path, json.dumps(data))
    return path


def read(name: str) -> Note | None:
    """The note of that name; nothing where there is none, or none that can be read."""
    try:
        data: dict[str, Any] = json.loads(path_of(name).read_text(encoding="utf-8"))
        return Note(name, str(data["cluster"]), str(data["fault"]), recall_from_json(data["recall"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove(name: str) -> None:
    """Forget a note."""
    path_of(name).unlink(missing_ok=True)


def all_of(cluster: str) -> list[Note]:
    """The notes of a cluster, oldest run first."""
    names = sorted(each.name.removesuffix(_SUFFIX) for each in path_of("").parent.glob(f"*{_SUFFIX}"))
    found = (read(name) for name in names)
    return [each for each in found if each is not None and each.cluster == cluster]
