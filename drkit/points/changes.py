"""Sources that came and went between two recovery points: what a cluster's owner must hear of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from drkit.points.descriptor import SourceEntry

FOUND_OUT = frozenset({"database", "globals"})
"""The kinds of sources that are found by asking, so that they come and go without the configuration being changed."""


def compared(before: Collection[str] | None, now: Iterable[SourceEntry]) -> tuple[list[str], frozenset[str]]:
    """What to warn of, and what to know the next time.

    Args:
        before: the names that were known after the last point; None where nothing was.
        now: the sources of the new point. One that failed stands for all below its name too: it could not be asked.
    """
    here = [each for each in now if each.kind in FOUND_OUT]
    there = frozenset(each.name for each in here if each.ok)
    failed = [each.name for each in here if not each.ok]
    if not here:
        return [], frozenset(before or ())
    unknown = frozenset(name for name in before or () if any(below(name, each) for each in failed))
    if before is None:
        return [], there
    came, went = sorted(there - frozenset(before)), sorted(frozenset(before) - there - unknown)
    warnings = [f"new since the last recovery point: {', '.join(came)}"] if came else []
    warnings += [f"gone since the last recovery point: {', '.join(went)}"] if went else []
    return warnings, there | unknown


def below(name: str, failed: str) -> bool:
    """Whether a source belongs to what could not be asked: ``globals/a/b`` goes with ``database/a/b``."""
    rest, place = name.partition("/")[2], failed.partition("/")[2]
    return name == failed or not place or rest == place or rest.startswith(f"{place}/")
