"""A database that is restored aside, under a working name, and gets its own name only when it has been proven.

So nobody ever connects to a database that is half there, and what a restore leaves that was cut short, at any instant,
is nothing but a database with a working name, which the next restore replaces. That needs a database that drkit makes
itself: one that is there already, and empty, is loaded in one transaction instead.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.postgres.quoting import identifier, literal
from drkit.postgres.session import DUPLICATE_DATABASE, OBJECT_IN_USE, StatementFailed
from drkit.restore import remains

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.postgres.destination import Server
    from drkit.postgres.session import Session

_PROVEN = "drkit: proven"
"""The comment of a working database after its proof. What a server writes it hands on in order: one that takes the
place of another, and has this, has all that was proven."""
_LOOKS = 5
"""At what was told to end. Each takes five seconds, for which the server waits for others (CountOtherDBBackends)."""


def working_name(database: str) -> str:
    """The name under which ``database`` is restored: always the same, and within PostgreSQL's 63 bytes."""
    return f"drkit_unproven_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def of(server: Server) -> Server:
    """How the database is reached while it is restored aside."""
    return server.of(working_name(server.database))


def exists(session: Session, database: str) -> bool:
    """Whether the server has a database of this name."""
    asked = f"select 1 from pg_catalog.pg_database where datname = {literal(database)}"  # noqa: S608 - quoted
    return session.execute(asked).fetchone() is not None


def remove(session: Session, server: Server) -> None:
    """Remove what an earlier restore left aside.

    Raises:
        TargetNotEmpty: another restore is at work on it.
    """
    dropping = f"drop database if exists {identifier(working_name(server.database))}"
    _alone(session, server, lambda: session.execute(dropping))


def _alone(session: Session, server: Server, act: Callable[[], object]) -> None:
    """Do what takes that nobody is connected to the working database: what this restore left there is ended.

    Raises:
        TargetNotEmpty: another one is connected to it.
    """
    working = of(server)
    for look in range(_LOOKS, 0, -1):
        left = remains.end(session, working)
        try:
            act()
        except StatementFailed as error:
            if error.sqlstate != OBJECT_IN_USE:
                raise
            if not left or look == 1:
                raise TargetNotEmpty(
                    f"{server.shown} is being restored by another drkit: {error}", remains.hint(session, working)
                ) from None
        else:
            return


def mark_proven(session: Session, server: Server) -> None:
    """Note, in the server, that what is aside was proven; nothing where it has its own name already."""
    working = working_name(server.database)
    if exists(session, working):
        session.execute(f"comment on database {identifier(working)} is {literal(_PROVEN)}")


def publish(session: Session, server: Server) -> None:
    """Give the database its own name, if it is not there under it already.

    Raises:
        TargetNotEmpty: somebody has made a database of that name meanwhile, or is connected to the working one.
        VerificationFailed: it is not the one that was proven.
    """
    working = working_name(server.database)
    asked = "select pg_catalog.shobj_description(oid, 'pg_database') from pg_catalog.pg_database where datname = "
    found = session.execute(asked + literal(working)).fetchone()
    if found is None:
        return
    if found[0] != _PROVEN:
        raise VerificationFailed(
            f"{server.shown}: what was restored aside, as {working}, is not what was proven: "
            "another server has taken the place of that one",
            "start anew, without --resume",
        )
    try:
        _alone(session, server, lambda: _rename(session, working, server.database))
    except StatementFailed as error:
        if error.sqlstate != DUPLICATE_DATABASE:
            raise
        raise TargetNotEmpty(
            f"{server.shown} was made by somebody else while it was being restored; the restored one is {working}",
            "drop or rename the one that is in the way, then: drkit restore … --resume",
        ) from None


def _rename(session: Session, working: str, database: str) -> None:
    session.execute("begin")
    try:
        session.execute(f"comment on database {identifier(working)} is null")
        session.execute(f"alter database {identifier(working)} rename to {identifier(database)}")
    except StatementFailed:
        session.execute("rollback")
        raise
    session.execute("commit")
