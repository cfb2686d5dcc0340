"""The databases of a target: how they are reached, and whether a restore can go there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import DrkitError, PreflightFailed, RestoreFailed, TargetNotEmpty
from drkit.postgres import catalog, programs
from drkit.restore import aside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn

    Connection = psycopg.Connection[tuple[Any, ...]]

SHOWN_OBJECTS = 5
_MAINTENANCE = ("postgres", "template1")


@dataclass(frozen=True)
class Place:
    """A database of the target and the source that goes there."""

    dsn: Dsn
    source: SourceEntry
    bin_dirs: tuple[Path, ...]

    @property
    def major(self) -> int:
        """The major version of the server that the dump is from."""
        return int(str(self.source.details["versions"]["postgresql"]).partition(".")[0])


def preflight(place: Place, *, must_be_empty: bool) -> None:
    """See that the restore can work, touching nothing.

    Raises:
        TargetNotEmpty: the database holds something.
        PreflightFailed: unreachable, too old, without an extension or a right that is needed.
    """
    with maintenance(place.dsn) as server:
        major = server.info.server_version // 10000
        if major < place.major:
            raise PreflightFailed(
                f"{place.dsn.shown} is PostgreSQL {major}, the dump is from {place.major}",
                f"restore into PostgreSQL {place.major} or newer",
            )
        programs.client("pg_restore", max(major, place.major), place.bin_dirs)
        available = {str(name) for (name,) in server.execute("select name from pg_catalog.pg_available_extensions")}
        missing = sorted(set(place.source.details["versions"]["extensions"]) - available)
        if missing:
            raise PreflightFailed(
                f"{place.dsn.shown} lacks the extensions {', '.join(missing)}", "install their packages on that server"
            )
        there = aside.exists(server, place.dsn.database)
        if not there and not _may_create(server):
            raise PreflightFailed(
                f"{place.dsn.shown}: the database is not there and {server.info.user} may not make one",
                f'make it: create database "{place.dsn.database}"; or: alter role "{server.info.user}" createdb',
            )
    if there:
        with connected(place.dsn) as connection:
            _see_encoding(connection, place)
            if must_be_empty:
                see_empty(connection, place.dsn)


def see_empty(connection: Connection, dsn: Dsn) -> None:
    """Raise ``TargetNotEmpty`` where the database holds anything that an empty one would not."""
    found = catalog.user_objects(connection)
    if found:
        shown = ", ".join(f"{kind} {name}" for kind, name in found[:SHOWN_OBJECTS])
        more = f" and {len(found) - SHOWN_OBJECTS} more" if len(found) > SHOWN_OBJECTS else ""
        raise TargetNotEmpty(
            f"{dsn.shown} is not empty: {shown}{more}; nothing was touched",
            "restore into an empty database; a restore that was interrupted goes on with --resume",
        )


def _see_encoding(connection: Connection, place: Place) -> None:
    row = connection.execute("select pg_catalog.getdatabaseencoding()").fetchone()
    here, there = str(row and row[0]), str(place.source.details["encoding"])
    if here not in (there, "UTF8"):
        raise PreflightFailed(
            f"{place.dsn.shown} has the encoding {here}, the dump is in {there}",
            f"make the database with encoding {there} or UTF8, or drop it: the restore makes it as it was",
        )


@contextmanager
def connected(dsn: Dsn) -> Iterator[Connection]:
    """A connection; every error of PostgreSQL in the body becomes one of drkit's."""
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    try:
        connection = dsn.connect()
    except psycopg.Error as error:
        raise PreflightFailed(
            f"{dsn.shown}: {process.tail(str(error))}", "check the target's dsn and its server"
        ) from None
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        raise RestoreFailed(
            f"{dsn.shown}: {process.tail(str(error))}", "mend it, then: drkit restore … --resume"
        ) from None


@contextmanager
def maintenance(dsn: Dsn) -> Iterator[Connection]:
    """A connection to the server, whether or not the database is there."""
    last: DrkitError | None = None
    for database in (dsn.database, *_MAINTENANCE):
        context = connected(dsn.with_database(database))
        try:
            connection = context.__enter__()
        except PreflightFailed as error:
            last = last or error
            continue
        try:
            yield connection
        finally:
            connection.close()
        return
    assert last is not None  # noqa: S101 - the loop ran and nothing answered
    raise last


def _may_create(server: Connection) -> bool:
    row = server.execute(
        "select rolsuper or rolcreatedb from pg_catalog.pg_roles where rolname = current_user"
    ).fetchone()
    return bool(row and row[0])
