"""Restores of one database, against ``pg_restore`` from a local file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.meter import Program
from bench.tools import Borgmatic, Drkit, default_compression
from bench.world import DATABASES, PASSPHRASE, SPARE, borg, size_of_dump
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.figures import Book, Figure
    from bench.meter import Pipeline
    from bench.world import World

RESTORE = "restore"
FROM_FILE, FROM_FILE_ANALYZED = "pg_restore from a file", "pg_restore from a file, analyze"
FROM_VAULT = "borg extract | pg_restore"
BORGMATIC = "borgmatic restore"
_TARGET = 1.1
_DATABASE = DATABASES[0]


def measure(world: World, book: Book, rounds: int) -> None:
    """Each way in turn. Every one ends with the same rows in a database that was not there, or empty, before."""
    drkit, borgmatic = Drkit(world), Borgmatic(world, default_compression())
    dump = world.directory / "one.dump"
    for tool in (drkit, borgmatic):
        tool.fresh()
        tool.backup()
    size_of_dump(world, _DATABASE, dump)
    ways: dict[str, Callable[[], list[Pipeline]]] = {
        "drkit": lambda: [(drkit.program("restore", "--to", SPARE, "--only", f"database/{_DATABASE}", "--json"),)],
        FROM_FILE: lambda: [(_pg_restore(world, str(dump)),)],
        FROM_VAULT: lambda: [_from_vault(world, drkit)],
        FROM_FILE_ANALYZED: lambda: [(_pg_restore(world, str(dump)),), (_analyze(world),)],
        BORGMATIC: lambda: [(borgmatic.restore(_DATABASE),)],
    }
    for number in range(1, rounds + 1):
        print(f"restore, round {number} of {rounds}", flush=True)
        for who, jobs in ways.items():
            _turn(world, book, who, jobs())
    dump.unlink()


def _turn(world: World, book: Book, who: str, jobs: Sequence[Pipeline]) -> None:
    if who == "drkit":
        world.drop(SPARE)  # drkit makes the database itself
    elif who == BORGMATIC:
        world.recreate(_DATABASE)  # borgmatic restores to where the dump is from
    else:
        world.recreate(SPARE)
    world.settle()
    measured = world.meter.run(jobs, world.directory)
    steps = json.loads(measured.output)["steps"] if who == "drkit" else []
    book.add(RESTORE, who, measured, **({"steps": steps} if steps else {}))
    _see_rows(world, _DATABASE if who == BORGMATIC else SPARE)


def _pg_restore(world: World, *file: str) -> Program:
    argv = [world.client("pg_restore"), "--exit-on-error", "-d", SPARE, *file]
    return Program(argv, {**world.environment("by-hand"), **world.libpq()})


def _analyze(world: World) -> Program:
    argv = [world.client("psql"), "--no-psqlrc", "--quiet", "--dbname", SPARE, "--command", "analyze"]
    return Program(argv, {**world.environment("by-hand"), **world.libpq()})


def _from_vault(world: World, drkit: Drkit) -> Pipeline:
    env = {**drkit.by_hand(), "BORG_PASSPHRASE": PASSPHRASE}
    archive = f"{world.box.url(drkit.name)}::{drkit.archive(_DATABASE)}"
    return Program([borg(), "extract", "--stdout", archive], env), _pg_restore(world)


def _see_rows(world: World, database: str) -> None:
    with world.postgres.dsn(database).connect() as connection:
        row = connection.execute("select count(*) from accounts").fetchone()
    if row is None or row[0] != world.rows:
        raise DrkitError(f"{database} has {row} rows after the restore, not {world.rows}")


def figures(book: Book) -> Sequence[Figure]:
    """The ratio that counts, the others, and the times."""
    found = book.ratio(RESTORE, "drkit", FROM_FILE, title=f"restore: drkit / {FROM_FILE}", target=_TARGET)
    for against in (FROM_FILE_ANALYZED, FROM_VAULT, BORGMATIC):
        found += book.ratio(RESTORE, "drkit", against, title=f"restore: drkit / {against}")
    for who in ("drkit", FROM_FILE, FROM_FILE_ANALYZED, FROM_VAULT, BORGMATIC):
        found += book.times(RESTORE, who, title=f"restore: {who}")
    return found
