"""The steps of a restore that concern databases: roles, creation, loading, statistics, proof, the name."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.postgres import catalog, load, programs, proof, properties, roles, sections
from drkit.postgres.access import CUSTOM
from drkit.restore import aside
from drkit.restore.directory import unpacked
from drkit.restore.stream import feed
from drkit.restore.target import SHOWN_OBJECTS, connected, maintenance, see_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import psycopg

    from drkit.observe.progress import Task
    from drkit.postgres.connection import Dsn
    from drkit.restore.target import Place
    from drkit.vault.port import Reader, Vault

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK = 0x64726B6974
"""The key of the advisory lock under which a database is restored: ``drkit`` in ASCII."""


def missing_roles(dsn: Dsn, needed: Iterable[str]) -> set[str]:
    """The roles that the server lacks."""
    with maintenance(dsn) as server:
        return set(needed) - {str(name) for (name,) in server.execute("select rolname from pg_catalog.pg_roles")}


def make_roles(dsn: Dsn, text: str, only: Iterable[str] | None) -> list[str]:
    """Make the roles of a globals script that the server lacks; returns their names."""
    with maintenance(dsn) as server:
        there = [str(name) for (name,) in server.execute("select rolname from pg_catalog.pg_roles")]
        wanted = roles.for_missing(text, there, only)
        with server.transaction():
            for statement in wanted:
                server.execute(statement)
    return roles.created_by(wanted)


def create(place: Place) -> list[str]:
    """Make the database as the original was, aside, if it is not there.

    Returns:
        What could not be made as it was, for the report.
    """
    with maintenance(place.dsn) as server:
        aside.remove(server, place.dsn)
        return [] if aside.exists(server, place.dsn.database) else _create_aside(server, place)


def _create_aside(server: Connection, place: Place) -> list[str]:
    import psycopg  # noqa: PLC0415 - see Dsn.connect
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    name, encoding = aside.working_name(place.dsn.database), place.source.details["encoding"]
    try:
        server.execute(properties.creation(name, encoding, place.source.details["properties"]))
    except (psycopg.errors.WrongObjectType, psycopg.errors.InvalidParameterValue) as error:
        server.execute(
            sql.SQL("create database {} template template0 encoding {}").format(
                sql.Identifier(name), sql.Literal(encoding)
            )
        )
        return [f"{place.dsn.database} has the server's own locale, not the original's: {process.tail(str(error))}"]
    return []


def publish(place: Place) -> None:
    """Give a database that was restored aside its own name.

    Raises:
        TargetNotEmpty: that name has been taken meanwhile.
    """
    with maintenance(place.dsn) as server:
        aside.publish(server, place.dsn)


def _where(place: Place) -> Dsn:
    """Where the database is just now: aside, or under its own name."""
    with maintenance(place.dsn) as server:
        return aside.of(place.dsn) if aside.exists(server, aside.working_name(place.dsn.database)) else place.dsn


def put_back_properties(place: Place) -> list[str]:
    """Owner, privileges, settings and comment of the database itself, where it has none of its own already.

    Returns:
        What is not as it was, for the report: rights that the target's user does not have cost no restore.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    wanted, name = place.source.details["properties"], place.dsn.database
    with connected(place.dsn) as connection:
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
def _restoring(dsn: Dsn) -> Iterator[Connection]:
    """Hold the database for this restore. Raises ``TargetNotEmpty`` where another restore holds it."""
    with connected(dsn) as connection:
        row = connection.execute("select pg_catalog.pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if not (row and row[0]):
            raise TargetNotEmpty(f"{dsn.shown} is being restored by another drkit", "wait for that one to end")
        yield connection


@dataclass(frozen=True)
class Origin:
    """Where a dump comes from on its way into a database."""

    vault: Vault
    opened: AbstractContextManager[Reader] | None
    """The archive, where it was opened ahead."""
    staging: Path
    """Where a directory dump may be unpacked."""
    task: Task


def loading(place: Place, origin: Origin, *, sessions: int, resumed: bool) -> None:
    """Load the dump, aside or, where the database is there, in one transaction.

    Args:
        place: the database and its source.
        origin: where the dump comes from.
        sessions: how many the rows are dealt to.
        resumed: an earlier attempt began this step, and may have ended it before it could say so.
    """
    with maintenance(place.dsn) as server:
        is_aside = aside.exists(server, aside.working_name(place.dsn.database))
        if not is_aside and aside.exists(server, place.dsn.database):
            _load_in_place(place, origin, resumed=resumed)
            return
        if resumed or not is_aside:
            aside.remove(server, place.dsn)
            _create_aside(server, place)
        try:
            _load_aside(place, origin, sessions)
        except BaseException:
            with suppress(Exception):  # what cannot be removed now, the next restore removes
                aside.remove(server, place.dsn)
            raise


def _load_aside(place: Place, origin: Origin, sessions: int) -> None:
    dsn = aside.of(place.dsn)
    with _restoring(dsn) as connection:
        program = _pg_restore(place, connection)
        if place.source.details["dump_format"] == CUSTOM:
            with sections.loader(program, dsn, sessions) as sink:
                feed(origin.vault, place.source, sink.write, origin.task, origin.opened)
                sink.finish()
        else:
            with unpacked(origin.vault, place.source, origin.staging, origin.task, origin.opened) as dump:
                load.directory(program, dsn, dump, f"--jobs={sessions}")


def _load_in_place(place: Place, origin: Origin, *, resumed: bool) -> None:
    """All or nothing: cut short at any instant, it leaves the database as empty as it was."""
    with _restoring(place.dsn) as connection:
        if resumed and catalog.user_objects(connection) and not _differences(connection, place):
            return
        see_empty(connection, place.dsn)
        program = _pg_restore(place, connection)
        if place.source.details["dump_format"] == CUSTOM:
            with load.loader(program, place.dsn) as sink:
                feed(origin.vault, place.source, sink.write, origin.task, origin.opened)
                sink.finish()
        else:
            with unpacked(origin.vault, place.source, origin.staging, origin.task, origin.opened) as dump:
                load.directory(program, place.dsn, dump, "--single-transaction")


def _pg_restore(place: Place, connection: Connection) -> list[str]:
    return [programs.client("pg_restore", max(connection.info.server_version // 10000, place.major), place.bin_dirs)]


def analyze(place: Place) -> None:
    """Collect statistics, without which the first queries after a restore take minutes."""
    with connected(_where(place)) as connection:
        connection.execute("set client_min_messages = error")
        connection.execute("analyze")


def prove(place: Place) -> None:
    """Count again and compare with the descriptor.

    Raises:
        VerificationFailed: something is not as it was.
    """
    dsn = _where(place)
    with connected(dsn) as connection:
        wrong = _differences(connection, place)
    if wrong:
        raise VerificationFailed(
            f"{dsn.shown} is not what {place.source.name} was: {'; '.join(wrong[:SHOWN_OBJECTS])}",
            "do not use it; look at the recovery point: drkit verify --deep",
        )


def _differences(connection: Connection, place: Place) -> list[str]:
    proof.settle(connection)
    expected = place.source.details["proof"]
    content = any("checksum" in table for table in expected["tables"].values())
    return proof.differences(expected, {**proof.take(connection, content=content), **proof.take_sequences(connection)})
