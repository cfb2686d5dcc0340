"""The names of archives: readable, unique, and made of characters that mean nothing to Borg.

``<cluster>.<point id>.<part>``, where the part is a source, ``point`` for the descriptor, or ``verified-<time>`` for
the record of a verification. What a source is really called stands in the descriptor; the name need only be unique.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DESCRIPTOR = "point"
PART = "part"
"""What one of several runs stored that are sealed together; gone when they are."""
VERIFIED = "verified-"
_NAME = re.compile(r"(?P<cluster>[A-Za-z0-9_-]+)\.(?P<point>\d{8}T\d{6}Z-[0-9a-f]{6})\.(?P<part>[A-Za-z0-9_-]+)")
_READABLE_CHARACTERS = 60
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class ArchiveName:
    """The parts of an archive's name."""

    cluster: str
    point: str
    part: str

    def __str__(self) -> str:
        return f"{self.cluster}.{self.point}.{self.part}"


def parse(name: str) -> ArchiveName | None:
    """The parts of ``name``, or nothing where the archive is not one of drkit's."""
    match = _NAME.fullmatch(name)
    return ArchiveName(match["cluster"], match["point"], match["part"]) if match else None


def sealed(cluster: str, archives: Iterable[str]) -> set[str]:
    """The points of ``cluster``, as archive names spell it, whose descriptor is among these archives."""
    parsed = (parts for parts in map(parse, archives) if parts)
    return {parts.point for parts in parsed if parts.cluster == cluster and parts.part == DESCRIPTOR}


def slug(text: str) -> str:
    """``text`` in safe characters: readable where it was, and unique by a few digits of its hash where it changed."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:_READABLE_CHARACTERS]
    plain = safe == text and not re.search(r"-[0-9a-f]{8}$", text)
    return text if plain else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")


def new_point(created: datetime) -> str:
    """An id for a point: sorts by time, and two runs in one second differ."""
    return f"{created.strftime(_TIME)}-{secrets.token_hex(3)}"


def shared_point(created: datetime, of: str) -> str:
    """The id of a point that several runs seal together: the same for all that know when, and of what, it is."""
    return f"{created.strftime(_TIME)}-{hashlib.sha256(of.encode()).hexdigest()[:6]}"


def time_of(point: str) -> datetime | None:
    """The time in a point's id, UTC; nothing where it is none, such as the 31st of February."""
    try:
        return datetime.strptime(point.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def verification(at: datetime) -> str:
    """The part that names the record of a verification."""
    return f"{VERIFIED}{at.strftime(_TIME)}"
