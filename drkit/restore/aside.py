"""A database that is restored aside, under a working name, and gets its own name only when it has been proven.

So nobody ever connects to a database that is half there, and what a restore leaves that was cut short, at any instant,
is nothing but a database with a working name, which the next restore replaces. That needs a database that drkit makes
itself: one that is there already, and empty, is loaded in one transaction instead.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import TargetNotEmpty

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from drkit.postgres.connection import Dsn

    Connection = psycopg.Connection[tuple[Any, ...]]


def working_name(database: str) -> str:
    """The name under which ``database`` is restored: always the same, and within PostgreSQL's 63 bytes."""
    return f"drkit_unproven_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def of(dsn: Dsn) -> Dsn:
    """How the database is reached while it is restored aside."""
    return dsn.with_database(working_name(dsn.database))


def exists(server: Connection, database: str) -> bool:
    """Whether the server has a database of this name."""
    return server.execute("select from pg_catalog.pg_database where datname = %s", [database]).fetchone() is not None


def remove(server: Connection, dsn: Dsn) -> None:
    """Remove what an earlier restore left aside.

    Raises:
        TargetNotEmpty: another restore is at work on it.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    try:
        server.execute(_statement("drop database if exists {}", working_name(dsn.database)))
    except psycopg.errors.ObjectInUse as error:
        raise TargetNotEmpty(
            f"{dsn.shown} is being restored by another drkit: {process.tail(str(error))}", "wait for that one to end"
        ) from None


def publish(server: Connection, dsn: Dsn) -> None:
    """Give the database its own name, if it is not there under it already.

    Raises:
        TargetNotEmpty: somebody has made a database of that name meanwhile.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    working = working_name(dsn.database)
    if not exists(server, working):
        return
    try:
        server.execute(_statement("alter database {} rename to {}", working, dsn.database))
    except psycopg.errors.DuplicateDatabase:
        raise TargetNotEmpty(
            f"{dsn.shown} was made by somebody else while it was being restored; the restored one is {working}",
            "drop or rename the one that is in the way, then: drkit restore … --resume",
        ) from None


def _statement(text: str, *names: str) -> sql.Composed:
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    return sql.SQL(text).format(*map(sql.Identifier, names))
