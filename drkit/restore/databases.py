"""The steps of a restore that concern databases: preflight, roles, creation, loading, statistics, proof."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import DrkitError, PreflightFailed, RestoreFailed, TargetNotEmpty, VerificationFailed
from drkit.postgres import catalog, load, programs, proof, properties, roles
from drkit.postgres.connection import libpq_environment
from drkit.postgres.dump import CUSTOM
from drkit.restore.directory import unpacked
from drkit.restore.stream import feed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import psycopg

    from drkit.observe.progress import Task
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn
    from drkit.vault.port import Reader, Vault

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK = 0x64726B6974
"""The key of the advisory lock under which a database is restored: ``drkit`` in ASCII."""
_SHOWN_OBJECTS = 5
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
    with _maintenance(place.dsn) as server:
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
        there = _exists(server, place.dsn.database)
        if not there and not _may_create(server):
            raise PreflightFailed(
                f"{place.dsn.shown}: the database is not there and {server.info.user} may not make one",
                f'make it: create database "{place.dsn.database}"; or: alter role "{server.info.user}" createdb',
            )
    if there:
        with _connected(place.dsn) as connection:
            _see_encoding(connection, place)
            if must_be_empty:
                see_empty(connection, place.dsn)


def see_empty(connection: Connection, dsn: Dsn) -> None:
    """Raise ``TargetNotEmpty`` where the database holds anything that an empty one would not."""
    found = catalog.user_objects(connection)
    if found:
        shown = ", ".join(f"{kind} {name}" for kind, name in found[:_SHOWN_OBJECTS])
        more = f" and {len(found) - _SHOWN_OBJECTS} more" if len(found) > _SHOWN_OBJECTS else ""
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
def _connected(dsn: Dsn) -> Iterator[Connection]:
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
def _maintenance(dsn: Dsn) -> Iterator[Connection]:
    """A connection to the server, whether or not the database is there."""
    last: DrkitError | None = None
    for database in (dsn.database, *_MAINTENANCE):
        context = _connected(dsn.with_database(database))
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


def _exists(server: Connection, database: str) -> bool:
    return server.execute("select from pg_catalog.pg_database where datname = %s", [database]).fetchone() is not None


def _may_create(server: Connection) -> bool:
    row = server.execute(
        "select rolsuper or rolcreatedb from pg_catalog.pg_roles where rolname = current_user"
    ).fetchone()
    return bool(row and row[0])


def missing_roles(dsn: Dsn, needed: Iterable[str]) -> set[str]:
    """The roles that the server lacks."""
    with _maintenance(dsn) as server:
        return set(needed) - {str(name) for (name,) in server.execute("select rolname from pg_catalog.pg_roles")}


def make_roles(dsn: Dsn, text: str, only: Iterable[str] | None) -> list[str]:
    """Make the roles of a globals script that the server lacks; returns their names."""
    with _maintenance(dsn) as server:
        there = [str(name) for (name,) in server.execute("select rolname from pg_catalog.pg_roles")]
        wanted = roles.for_missing(text, there, only)
        with server.transaction():
            for statement in wanted:
                server.execute(statement)
    return roles.created_by(wanted)


def create(place: Place) -> list[str]:
    """Make the database as the original was, if it is not there.

    Returns:
        What could not be made as it was, for the report.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    wanted, name = place.source.details["properties"], place.dsn.database
    with _maintenance(place.dsn) as server:
        if _exists(server, name):
            return []
        encoding = place.source.details["encoding"]
        try:
            server.execute(properties.creation(name, encoding, wanted))
        except (psycopg.errors.WrongObjectType, psycopg.errors.InvalidParameterValue) as error:
            server.execute(
                sql.SQL("create database {} template template0 encoding {}").format(
                    sql.Identifier(name), sql.Literal(encoding)
                )
            )
            return [f"{name} has the server's own locale, not the original's: {process.tail(str(error))}"]
    return []


def put_back_properties(place: Place) -> list[str]:
    """Owner, privileges, settings and comment of the database itself, where it has none of its own already.

    Returns:
        What is not as it was, for the report: rights that the target's user does not have cost no restore.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    wanted, name = place.source.details["properties"], place.dsn.database
    with _connected(place.dsn) as connection:
        now = properties.read(connection)
        todo = properties.statements(name, wanted, now)
        if now["owner"] == connection.info.user:
            owner = sql.SQL("alter database {} owner to {}")
            todo.append(owner.format(sql.Identifier(name), sql.Identifier(wanted["owner"])))
        refused = []
        for statement in todo:
            try:
                connection.execute(statement)
            except psycopg.Error as error:
                refused.append(process.tail(str(error)))
        left = properties.differences(wanted, properties.read(connection))
    said = f" ({'; '.join(refused)})" if refused else ""
    return [f"of the database {name} itself, {text}{said}" for text in left]


@contextmanager
def _restoring(place: Place) -> Iterator[Connection]:
    """Hold the database for this restore. Raises ``TargetNotEmpty`` where another restore holds it."""
    with _connected(place.dsn) as connection:
        row = connection.execute("select pg_catalog.pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if not (row and row[0]):
            raise TargetNotEmpty(f"{place.dsn.shown} is being restored by another drkit", "wait for that one to end")
        yield connection


def loading(
    place: Place,
    vault: Vault,
    staging: Path,
    task: Task,
    *,
    resumed: bool,
    opened: AbstractContextManager[Reader] | None = None,
) -> None:
    """Load the dump. Cut short at any instant, it leaves the database as empty as it was.

    Args:
        place: the database and its source.
        vault: where the archive is.
        staging: where a directory dump may be unpacked.
        task: told the bytes so far.
        opened: the archive, where it was opened ahead.
        resumed: an earlier attempt began this step, and may have ended it before it could say so.
    """
    with _restoring(place) as connection:
        if resumed and catalog.user_objects(connection) and not _differences(connection, place):
            return
        see_empty(connection, place.dsn)
        program = programs.client(
            "pg_restore", max(connection.info.server_version // 10000, place.major), place.bin_dirs
        )
        if place.source.details["dump_format"] == CUSTOM:
            with load.loader(program, place.dsn) as sink:
                feed(vault, place.source, sink.write, task, opened)
                sink.finish()
        else:
            with unpacked(vault, place.source, staging, task, opened) as dump:
                _load_directory(place, program, dump)


def _load_directory(place: Place, program: str, dump: Path) -> None:
    with libpq_environment(place.dsn) as (env, descriptors):
        done = process.run(
            load.load_directory(program, place.dsn, dump), deadline=load.DEADLINE, env=env, pass_fds=descriptors
        )
    if done.status != 0:
        raise RestoreFailed(f"pg_restore ended with status {done.status}\n{process.tail(done.stderr)}")


def analyze(place: Place) -> None:
    """Collect statistics, without which the first queries after a restore take minutes."""
    with _connected(place.dsn) as connection:
        connection.execute("set client_min_messages = error")
        connection.execute("analyze")


def prove(place: Place) -> None:
    """Count again and compare with the descriptor.

    Raises:
        VerificationFailed: something is not as it was.
    """
    with _connected(place.dsn) as connection:
        wrong = _differences(connection, place)
    if wrong:
        raise VerificationFailed(
            f"{place.dsn.shown} is not what {place.source.name} was: {'; '.join(wrong[:_SHOWN_OBJECTS])}",
            "do not use it; look at the recovery point: drkit verify --deep",
        )


def _differences(connection: Connection, place: Place) -> list[str]:
    proof.settle(connection)
    expected = place.source.details["proof"]
    content = any("checksum" in table for table in expected["tables"].values())
    return proof.differences(expected, {**proof.take(connection, content=content), **proof.take_sequences(connection)})
