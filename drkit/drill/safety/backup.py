"""How old the backup is that a drill may rely on: of every source that is backed up, the newest verified one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.safety.facts import Backup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.points.catalogue import Catalogue
    from drkit.points.point import Point


def relied_on(catalogue: Catalogue, limit: float | None) -> Backup:
    """The oldest of the sources' newest verified backups: a drill may cost any of them.

    What is backed up now is what the newest point with a source of the same kind has, or failed to have: databases and
    the cluster itself have points of their own.

    Args:
        catalogue: what the vaults hold.
        limit: as ``Backup``.
    """
    kinds = {source.kind for point in catalogue.points for source in point.summary.sources}
    if not kinds:
        said = catalogue.problems[0].message if catalogue.problems else "there is no recovery point"
        return Backup(said=said, limit=limit)
    found = []
    for name in sorted({name for kind in kinds for name in _newest_of(catalogue.points, kind)}):
        proven = (each for each in catalogue.points if each.verified and _has(each, name))
        newest = next(proven, None)
        if newest is None:
            return Backup(said=f"{name} is in no verified one (drkit verify)", limit=limit)
        found.append(newest.created)
    return Backup(min(found), limit=limit)


def _newest_of(points: Iterable[Point], kind: str) -> set[str]:
    """The sources of this kind in the newest point that has one."""
    for point in points:
        names = {source.name for source in point.summary.sources if source.kind == kind}
        if names:
            return names
    return set()


def _has(point: Point, name: str) -> bool:
    return any(source.name == name for source in point.whole_sources)
