"""What the judge finds, and how it says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST

if TYPE_CHECKING:
    from collections.abc import Iterable

_SEVERITY = (LOST, INVALID, EXCEEDED, KEPT)
"""The worst first."""


@dataclass(frozen=True)
class Finding:
    """One reason for an outcome; of ``kept``: something to be noted."""

    outcome: str
    text: str


def invalid(text: str) -> Finding:
    """A reason why nothing can be concluded."""
    return Finding(INVALID, text)


def exceeded(text: str) -> Finding:
    """Something that the cluster did not do in time, or at all."""
    return Finding(EXCEEDED, text)


def lost(text: str) -> Finding:
    """Acknowledged writes that are gone."""
    return Finding(LOST, text)


def note(text: str) -> Finding:
    """What a reader should know, and what makes nothing worse."""
    return Finding(KEPT, text)


def weigh(findings: Iterable[Finding]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The worst outcome, its reasons and the others' (the worst first), and the notes."""
    ordered = sorted(findings, key=lambda each: _SEVERITY.index(each.outcome))
    reasons = tuple(each.text for each in ordered if each.outcome != KEPT)
    notes = tuple(each.text for each in ordered if each.outcome == KEPT)
    return ordered[0].outcome if ordered else KEPT, reasons, notes


def length(seconds: float) -> str:
    """To the millisecond: ``14.2 s``, ``0.05 s``."""
    return f"{round(seconds, 3):.10g} s"


def count(number: int, what: str) -> str:
    """``1 question``, ``3 questions``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
