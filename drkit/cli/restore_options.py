"""What the options of ``drkit restore`` say, as values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drkit.clock import from_text
from drkit.config.times import seconds
from drkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_SHORTEST_SECONDS = 60.0


def contradictions(found: Mapping[str, bool]) -> None:
    """Raise for the first of these sentences that is true.

    Raises:
        UsageError: with it.
    """
    for sentence, holds in found.items():
        if holds:
            raise UsageError(sentence)


def moment(text: str) -> datetime | None:
    """A time, UTC where it says none."""
    try:
        return from_text(text) if text else None
    except ValueError:
        raise UsageError(f"--at {text}: expected a time such as 2026-03-01T04:00:00Z") from None


def lifetime(text: str) -> float:
    """Seconds; 0 where it is no rehearsal."""
    try:
        found = seconds(text) if text else 0.0
    except ValueError as error:
        raise UsageError(f"--rehearsal {text}: {error}") from None
    if text and found < _SHORTEST_SECONDS:
        raise UsageError(f"--rehearsal {text}: expected a minute at least")
    return found


def renamed(wishes: list[str]) -> tuple[tuple[str, str], ...]:
    """Old and new names of namespaces; RFC 1123 labels, as Kubernetes has them."""
    label = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    found = [re.fullmatch(rf"({label})=({label})", wish) for wish in wishes]
    for wish, match in zip(wishes, found, strict=True):
        if match is None or match[1] == match[2]:
            raise UsageError(f"--namespace {wish}: expected OLD=NEW, two names of namespaces")
    pairs = [(match[1], match[2]) for match in found if match is not None]
    for names in zip(*pairs, strict=True):
        if len(set(names)) < len(names):
            raise UsageError("--namespace: expected each namespace once, and no two under one name")
    return tuple(pairs)
