"""The databases of a target: how they are reached, and whether a restore can go there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import DrkitError, PreflightFailed, RestoreFailed, SourceFailed, TargetNotEmpty
from drkit.postgres import catalog
from drkit.postgres.session import StatementFailed
from drkit.restore import aside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.destination import Destination, Server
    from drkit.postgres.session import OwnSession, Row, Session

SHOWN_OBJECTS = 5


@dataclass(frozen=True)
class Place:
    """A database of the target and the source that goes there."""

    at: Destination
    source: SourceEntry

    @property
    def major(self) -> int:
        """The major version of the server that the dump is from."""
        return int(str(self.source.details["versions"]["postgresql"]).partition(".")[0])


def preflight(place: Place, *, must_be_empty: bool) -> None:
    """See that the restore can work, touching nothing.

    Raises:
        TargetNotEmpty: the database holds something.
        PreflightFailed: unreachable, too old, without an extension, a right or the room that is needed.
    """
    server = found(place.at)
    with maintenance(server) as session:
        _see_versions(session, server, place)
        there = aside.exists(session, server.database)
        if not there:
            _see_right(session, server)
    if there:
        with connected(server) as session:
            _see_encoding(session, server, place)
            if must_be_empty:
                see_empty(session, server)


def _see_versions(session: Session, server: Server, place: Place) -> None:
    major = major_of(session)
    if major < place.major:
        raise PreflightFailed(
            f"{server.shown} is PostgreSQL {major}, the dump is from {place.major}",
            f"restore into PostgreSQL {place.major} or newer",
        )
    details = place.source.details
    server.check(max(major, place.major), details["dump_format"], details.get("disk_bytes"))
    available = {str(name) for (name,) in session.execute("select name from pg_catalog.pg_available_extensions")}
    missing = sorted(set(details["versions"]["extensions"]) - available)
    if missing:
        raise PreflightFailed(
            f"{server.shown} lacks the extensions {', '.join(missing)}", "install their packages on that server"
        )


def _see_right(session: Session, server: Server) -> None:
    may, user = one(
        session,
        "select rolsuper or rolcreatedb, rolname from pg_catalog.pg_roles where rolname = current_user",
    )
    if not may:
        raise PreflightFailed(
            f"{server.shown}: the database is not there and {user} may not make one",
            f'make it: create database "{server.database}"; or: alter role "{user}" createdb',
        )


def see_empty(session: Session, server: Server) -> None:
    """Raise ``TargetNotEmpty`` where the database holds anything that an empty one would not."""
    objects = catalog.user_objects(session)
    if objects:
        shown = ", ".join(f"{kind} {name}" for kind, name in objects[:SHOWN_OBJECTS])
        more = f" and {len(objects) - SHOWN_OBJECTS} more" if len(objects) > SHOWN_OBJECTS else ""
        raise TargetNotEmpty(
            f"{server.shown} is not empty: {shown}{more}; nothing was touched",
            "restore into an empty database; a restore that was interrupted goes on with --resume",
        )


def _see_encoding(session: Session, server: Server, place: Place) -> None:
    here, there = str(one(session, "select pg_catalog.getdatabaseencoding()")[0]), place.source.details["encoding"]
    if here not in (there, "UTF8"):
        raise PreflightFailed(
            f"{server.shown} has the encoding {here}, the dump is in {there}",
            f"make the database with encoding {there} or UTF8, or drop it: the restore makes it as it was",
        )


def major_of(session: Session) -> int:
    """The server's major version."""
    return int(one(session, "select current_setting('server_version_num')::int / 10000")[0])


def one(session: Session, query: str) -> Row:
    """The one row of a question that has one."""
    row = session.execute(query).fetchone()
    assert row is not None  # noqa: S101 - the caller's question has a row
    return row


def found(at: Destination) -> Server:
    """The server that the database is on now.

    Raises:
        PreflightFailed: there is none.
    """
    try:
        return at.server()
    except SourceFailed as error:
        raise PreflightFailed(error.message, error.hint, passes=error.passes) from None


@contextmanager
def connected(server: Server) -> Iterator[OwnSession]:
    """A session; what the server refuses in the body becomes one of drkit's errors."""
    try:
        session = server.connect()
    except SourceFailed as error:
        raise PreflightFailed(error.message, error.hint, passes=error.passes) from None
    with _telling(server, session):
        yield session


@contextmanager
def maintenance(server: Server) -> Iterator[OwnSession]:
    """A session with the server, whether or not the database is there."""
    last: DrkitError | None = None
    for database in server.doors:
        try:
            session = server.of(database).connect()
        except SourceFailed as error:
            last = last or PreflightFailed(error.message, error.hint, passes=error.passes)
            continue
        with _telling(server, session):
            yield session
        return
    assert last is not None  # noqa: S101 - the loop ran and nothing answered
    raise last


@contextmanager
def _telling(server: Server, session: OwnSession) -> Iterator[None]:
    try:
        yield
    except StatementFailed as error:
        raise RestoreFailed(
            f"{server.shown}: {error}", "mend it, then: drkit restore … --resume", passes=error.lost
        ) from None
    finally:
        session.close()
