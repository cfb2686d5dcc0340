"""Backups: the first one, one of unchanged databases, and one after a hundredth of the rows changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures import MEGABYTES, TIMES, Figure
from bench.tools import Borgmatic, ByHand, Drkit, DumpAlone, default_compression
from bench.world import DATABASES, size_of_dump, update

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Book
    from bench.tools import Tool
    from bench.world import World

FIRST, UNCHANGED, CHANGED = "first run", "unchanged", "1 % changed"
CREATED = "seconds_to_make_repository"
_TARGETS = {FIRST: 0.9, UNCHANGED: 0.85, CHANGED: 0.9}
_OWN_MEMORY_MEGABYTES = 200
_MEGABYTE = 1_000_000


def compressions() -> tuple[str, str]:
    """Borg's default level of zstd, and what drkit does by default: the same work for both."""
    return "zstd", default_compression()


def measure(world: World, book: Book, rounds: int) -> None:
    """Every tool in turn, in each state of the data, ``rounds`` times from the beginning."""
    drkit, borgmatics = Drkit(world), [Borgmatic(world, compression) for compression in compressions()]
    compared: list[Tool] = [drkit, *borgmatics]
    references: list[Tool] = [DumpAlone(world), *[ByHand(world, compression) for compression in compressions()]]
    least = sizes(world)
    for number in range(1, rounds + 1):
        print(f"backup, round {number} of {rounds}", flush=True)
        for tool in (*compared, *references):
            made = tool.fresh()
            _turn(world, book, tool, FIRST, least, made)
        for tool in compared:
            _turn(world, book, tool, UNCHANGED, least)
        update(world)
        for tool in compared:
            _turn(world, book, tool, CHANGED, least)


def sizes(world: World) -> dict[str, int]:
    """The size of each database's dump, bytes."""
    file = world.directory / "size.dump"
    try:
        return {database: size_of_dump(world, database, file) for database in DATABASES}
    finally:
        file.unlink(missing_ok=True)


def _turn(world: World, book: Book, tool: Tool, state: str, least: dict[str, int], made: float = 0.0) -> None:
    world.settle()
    measured = tool.backup()
    book.add(state, tool.name, measured, **({CREATED: round(made, 4)} if made else {}))
    tool.check(least)


def figures(book: Book) -> Sequence[Figure]:
    """Ratios first, then what they are made of."""
    found: list[Figure] = []
    for state, target in _TARGETS.items():
        for compression in compressions():
            against = f"borgmatic {compression}"
            title = f"backup, {state}: drkit / {against}"
            found += book.ratio(state, "drkit", against, title=title, target=target)
    found += _with_repository(book)
    for state in _TARGETS:
        values = [run.seconds / run.over_two_cores for run in book.runs(state, "drkit")]
        found += [Figure(f"backup, {state}: drkit / its work over two cores", TIMES, values)] if values else []
    for state in _TARGETS:
        for who in ("drkit", *[f"borgmatic {compression}" for compression in compressions()]):
            found += book.times(state, who, title=f"backup, {state}: {who}")
    for who in ("pg_dump > /dev/null", *[f"pg_dump | borg create {compression}" for compression in compressions()]):
        found += book.times(FIRST, who, title=f"both databases: {who}")
    return [*found, *_memory(book)]


def _with_repository(book: Book) -> list[Figure]:
    """The first run against borgmatic with the making of the repository, which is a part of drkit's."""
    found = []
    for compression in compressions():
        against = f"borgmatic {compression}"
        theirs = [
            each["seconds"] + each[CREATED] for each in book.raw if (each["what"], each["who"]) == (FIRST, against)
        ]
        values = [mine / other for mine, other in zip(book.seconds(FIRST, "drkit"), theirs, strict=False)]
        if values:
            found.append(Figure(f"backup, {FIRST}: drkit / {against}, repo-create included", TIMES, values))
    return found


def _memory(book: Book) -> list[Figure]:
    runs = book.runs(FIRST, "drkit")
    if not runs:
        return []
    name, _ = max((run.largest_child for run in runs), key=lambda each: each[1])
    own = [run.own_peak / _MEGABYTE for run in runs]
    largest = [run.peaks.get(name, 0) / _MEGABYTE for run in runs]
    return [
        Figure("peak memory of drkit itself, first run", MEGABYTES, own, _OWN_MEMORY_MEGABYTES),
        Figure(f"peak memory of its largest child ({name})", MEGABYTES, largest),
    ]
