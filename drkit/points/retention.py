"""Retention: which points' parts a vault keeps. Pure; the rules are those of ``borg prune``, over points, in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.config.model import GROUPS
from drkit.points.select import group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.config.model import Keep
    from drkit.points.point import Point

_PERIODS = (
    ("hourly", "%Y-%m-%d %H"),
    ("daily", "%Y-%m-%d"),
    ("weekly", "%G-%V"),
    ("monthly", "%Y-%m"),
    ("yearly", "%Y"),
)


def keep(points: Sequence[Point], rules: Keep, vault: str) -> dict[str, str]:
    """The points whose part in a vault is kept, by id, with the reason.

    Each rule in turn keeps the newest point of each of the last N periods that have one not kept already, and the
    oldest of all where there are fewer periods than N (``borg prune``, "keep"). That is done for the cluster's sources
    and for databases each: where both are in one vault, a newer point of a database would else take the place of a
    cluster's. Beside the rules, never removed: the newest complete point, the newest verified one, and the vault's last
    whole copy of any source, so that a source which fails for weeks does not lose its last good backup, nor one vault
    what was lost in another. Of a source that was never whole it is the last one in part. What a point has in
    another vault is that vault's to keep: else either part would stay for the other.

    Args:
        points: those with a part in the vault, newest first.
        rules: how many of each period.
        vault: whose part it is.
    """
    kept: dict[str, str] = {}
    for each in GROUPS:
        kept = {**_by_rules([point for point in points if _has(point, vault, each)], rules), **kept}
    for point in points:
        if point.complete_in(vault):
            kept.setdefault(point.id, "newest complete")
            break
    for point in points:
        if point.verified is not None:
            kept.setdefault(point.id, "newest verified")
            break
    copied: set[str] = set()
    for point in points:
        new = {source.name for source in point.part(vault) if source.ok} - copied
        if new:
            copied |= new
            kept.setdefault(point.id, f"last copy of {', '.join(sorted(new))}")
    for point in points:
        new = {source.name for source in point.part(vault)} - copied
        if new:
            copied |= new
            kept.setdefault(point.id, f"last copy, in part, of {', '.join(sorted(new))}")
    return kept


def _has(point: Point, vault: str, wanted: str) -> bool:
    return any(source.vault == vault and group(source.kind) == wanted for source in point.summary.sources)


def _by_rules(points: Sequence[Point], rules: Keep) -> dict[str, str]:
    kept: dict[str, str] = {}
    for rule, period in _PERIODS:
        _apply(points, getattr(rules, rule), rule, period, kept)
    return kept


def _apply(points: Sequence[Point], count: int, rule: str, period: str, kept: dict[str, str]) -> None:
    last, given = None, 0
    for point in points:
        if given == count:
            return
        this = point.created.strftime(period)
        if this != last:
            last = this
            if point.id not in kept:
                given += 1
                kept[point.id] = f"{rule} {given}"
    if points and given < count:
        kept.setdefault(points[-1].id, f"{rule} oldest")
