"""Which archives a restore draws on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.config.model import CLUSTER, DATABASES
from drkit.errors import NoSuchPoint, PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from drkit.points.descriptor import SourceEntry
    from drkit.points.point import Point

GROUPS = {"databases": ("database", "globals"), "database": ("database", "globals")}
"""What ``--only`` accepts beside the name of a kind."""


def group(kind: str) -> str:
    """What a kind of source is backed up with: ``databases``, or ``cluster``."""
    return DATABASES if kind in GROUPS[DATABASES] else CLUSTER


@dataclass(frozen=True)
class Chosen:
    """One source of a recovery set and the point it comes from."""

    source: SourceEntry
    point: Point


@dataclass(frozen=True)
class RecoverySet:
    """For each source the archive to restore, and what the user has to be told about the choice."""

    chosen: tuple[Chosen, ...]
    warnings: tuple[str, ...] = ()


def matches(source: SourceEntry, wanted: str) -> bool:
    """Whether ``wanted`` (``KIND`` or ``KIND/NAME``, as ``--only`` takes it) means this source.

    A name may leave out its beginning: ``database/docfast`` is ``database/postgres/main-db/docfast``.
    """
    if wanted == source.name:
        return True
    kind, slash, name = wanted.partition("/")
    if not slash:
        return source.kind in GROUPS.get(kind, (kind,))
    if source.kind != "database" if kind in GROUPS else source.kind != kind:
        return False
    own = source.name.partition("/")[2]
    return own == name or own.endswith(f"/{name}")


def recovery_set(points: Sequence[Point], *, at: datetime | None = None, only: Sequence[str] = ()) -> RecoverySet:
    """For each source the newest whole archive at or before ``at``; points are given newest first.

    A point that is incomplete gives what it has, and is named in a warning: it is never drawn on in silence.

    Raises:
        NoSuchPoint: nothing was backed up by then, or nothing that ``only`` asks for.
    """
    eligible = [point for point in points if at is None or point.created <= at]
    newest: dict[str, Chosen] = {}
    for point in eligible:
        for source in point.whole_sources:
            newest.setdefault(source.name, Chosen(source, point))
    chosen = _filtered(newest.values(), only, "by that time" if at else "yet")
    incomplete = {each.point.id: each.point for each in chosen if not each.point.complete}
    warnings = [f"recovery point {point.id} is incomplete: {_what_lacks(point)}" for point in incomplete.values()]
    warnings += elsewhere(chosen)
    for each in chosen:
        last = next(
            point for point in eligible if any(each.source.name == other.name for other in point.summary.sources)
        )
        if last.id != each.point.id:
            warnings.append(
                f"{each.source.name} comes from {each.point.id}: the newer {last.id} does not have it whole"
            )
    return RecoverySet(chosen, tuple(warnings))


def aligned(chosen: RecoverySet, anchor: str, kinds: Collection[str]) -> RecoverySet:
    """The same sources, those of ``kinds`` out of the point that ``anchor`` comes from, where that has them whole.

    What belongs together is so taken together: a token was in force, and objects were counted, when the datastore's
    snapshot was taken, and maybe not any more when a newer point was made.
    """
    point = next((each.point for each in chosen.chosen if each.source.name == anchor), None)
    beside = {} if point is None else {source.name: Chosen(source, point) for source in point.whole_sources}
    taken = (beside.get(each.source.name, each) if each.source.kind in kinds else each for each in chosen.chosen)
    return RecoverySet(tuple(taken), chosen.warnings)


def exactly(point: Point, *, only: Sequence[str] = (), accept_incomplete: bool) -> RecoverySet:
    """The sources of one point and of no other.

    Raises:
        PreflightFailed: it is incomplete and that was not accepted.
        NoSuchPoint: it has nothing that ``only`` asks for.
    """
    warnings: tuple[str, ...] = ()
    if not point.complete:
        text = f"recovery point {point.id} is incomplete: {_what_lacks(point)}"
        if not accept_incomplete:
            raise PreflightFailed(text, "restore what it has with --accept-incomplete, or choose another: drkit points")
        warnings = (text,)
    chosen = _filtered((Chosen(source, point) for source in point.stored_sources), only, "in it")
    return RecoverySet(chosen, (*warnings, *elsewhere(chosen)))


def elsewhere(chosen: Iterable[Chosen]) -> list[str]:
    """What to tell of sources that come from another than their first vault, which has them no more, or not whole."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in chosen:
        first = next(other.vault for other in each.point.summary.sources if other.name == each.source.name)
        if first != each.source.vault:
            found.setdefault((each.point.id, first, each.source.vault), []).append(each.source.name)
    return [
        f"recovery point {point} is incomplete in vault {first}: {', '.join(names)} from vault {instead}"
        for (point, first, instead), names in found.items()
    ]


def _filtered(chosen: Iterable[Chosen], only: Sequence[str], where: str) -> tuple[Chosen, ...]:
    chosen = sorted(chosen, key=lambda each: each.source.name)
    for wanted in only:
        if not any(matches(each.source, wanted) for each in chosen):
            there = ", ".join(each.source.name for each in chosen) or "nothing"
            raise NoSuchPoint(
                f"no whole backup of {wanted} {where} (there is: {there})", "list them: drkit points show"
            )
    kept = tuple(each for each in chosen if not only or any(matches(each.source, wanted) for wanted in only))
    if not kept:
        raise NoSuchPoint(f"no recovery point {where}", "make one: drkit backup")
    return kept


def _what_lacks(point: Point) -> str:
    failed = [
        f"{source.name} is there in part" if source.stored else f"{source.name} failed"
        for source in point.sources
        if not source.ok
    ]
    return ", ".join(failed + [f"the archive of {name} is gone or changed" for name in point.missing])
