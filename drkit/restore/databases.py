"""The steps of a restore that concern databases: roles, creation, loading, statistics, proof, the name.

Each can be taken again, whatever became of an earlier attempt. Where the server leaves in the middle of one, it is
taken again on the one that took its place, a bounded number of times.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import TargetNotEmpty, VerificationFailed
from drkit.postgres import catalog, proof, properties, roles
from drkit.postgres.access import CUSTOM
from drkit.postgres.quoting import identifier, literal
from drkit.postgres.session import (
    DUPLICATE_OBJECT,
    INVALID_PARAMETER_VALUE,
    UNTRANSLATABLE_CHARACTER,
    WRONG_OBJECT_TYPE,
    StatementFailed,
)
from drkit.restore import aside, remains
from drkit.restore.directory import unpacked
from drkit.restore.steady import replicated, steadily
from drkit.restore.stream import feed
from drkit.restore.target import SHOWN_OBJECTS, connected, maintenance, major_of, one, see_empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.observe.progress import Task
    from drkit.postgres.destination import Destination, Load, Server
    from drkit.postgres.session import OwnSession, Session
    from drkit.restore.target import Place
    from drkit.vault.port import Reader, Vault

_LOCK = 0x64726B6974
"""The key of the advisory lock under which a database is restored: ``drkit`` in ASCII."""
_LOCK_LOOKS = 5
_ROLE_ATTEMPTS = 3


def missing_roles(at: Destination, needed: Iterable[str]) -> set[str]:
    """The roles that the server lacks."""

    def step(server: Server, _: int) -> set[str]:
        with maintenance(server) as session:
            return set(needed) - _roles(session)

    return steadily(at, step)


def make_roles(at: Destination, text: str, only: Iterable[str] | None) -> list[str]:
    """Make the roles of a globals script that the server lacks; returns their names."""
    names = None if only is None else set(only)

    def step(server: Server, _: int) -> list[str]:
        for _again in range(_ROLE_ATTEMPTS - 1):
            with maintenance(server) as session:
                try:
                    return _make_roles(session, text, names)
                except StatementFailed as error:
                    # An operator makes roles of its own at the same time.
                    if error.sqlstate != DUPLICATE_OBJECT:
                        raise
        with maintenance(server) as session:
            return _make_roles(session, text, names)

    return steadily(at, step)


def _make_roles(session: Session, text: str, only: set[str] | None) -> list[str]:
    wanted = roles.for_missing(text, _roles(session), only)
    session.execute("begin")
    for statement in wanted:
        session.execute(statement)
    session.execute("commit")
    replicated(session)
    return roles.created_by(wanted)


def _roles(session: Session) -> set[str]:
    return {str(name) for (name,) in session.execute("select rolname from pg_catalog.pg_roles")}


def create(place: Place) -> list[str]:
    """Make the database as the original was, aside, if it is not there.

    Returns:
        What could not be made as it was, for the report.
    """

    def step(server: Server, _: int) -> list[str]:
        with maintenance(server) as session:
            aside.remove(session, server)
            return [] if aside.exists(session, server.database) else _create_aside(session, server, place)

    return steadily(place.at, step)


def _create_aside(session: Session, server: Server, place: Place) -> list[str]:
    name, encoding = aside.working_name(server.database), place.source.details["encoding"]
    try:
        session.execute(properties.creation(name, encoding, place.source.details["properties"]))
    except StatementFailed as error:
        if error.sqlstate not in (WRONG_OBJECT_TYPE, INVALID_PARAMETER_VALUE):
            raise
        session.execute(f"create database {identifier(name)} template template0 encoding {literal(encoding)}")
        return [f"{server.database} has the server's own locale, not the original's: {error}"]
    return []


def publish(place: Place) -> None:
    """Give a database that was restored aside its own name.

    Raises:
        TargetNotEmpty: that name has been taken meanwhile.
        VerificationFailed: what is there is not what was proven.
    """

    def step(server: Server, _: int) -> None:
        with maintenance(server) as session:
            aside.publish(session, server)
            replicated(session)

    steadily(place.at, step)


def _where(server: Server) -> Server:
    """Where the database is just now: aside, or under its own name."""
    with maintenance(server) as session:
        return aside.of(server) if aside.exists(session, aside.working_name(server.database)) else server


def put_back_properties(place: Place) -> list[str]:
    """Owner, privileges, settings and comment of the database itself, where it has none of its own already.

    Returns:
        What is not as it was, for the report: rights that the target's user does not have cost no restore.
    """
    return steadily(place.at, lambda server, _: _put_back(server, place))


def _put_back(server: Server, place: Place) -> list[str]:
    wanted, name = place.source.details["properties"], server.database
    with connected(server) as session, maintenance(server) as outside:
        now = properties.read(session)
        todo = properties.statements(name, wanted, now)
        if now["owner"] == one(session, "select current_user")[0]:
            todo.append(f"alter database {identifier(name)} owner to {identifier(wanted['owner'])}")
        refused = []
        for statement in todo:
            try:
                _tell(statement, session, outside)
            except StatementFailed as error:
                refused.append(str(error))
        left = properties.differences(wanted, properties.read(session))
        replicated(session)
    said = f" ({'; '.join(refused)})" if refused else ""
    return [f"of the database {name} itself, {text}{said}" for text in left]


def _tell(statement: str, session: Session, outside: Session) -> None:
    """Run a statement about a database in it, as somebody there would: what it says is kept in its encoding.

    A name need not be in the encoding of its own database: such a statement is run outside of it.
    """
    try:
        session.execute(statement)
    except StatementFailed as error:
        if error.sqlstate != UNTRANSLATABLE_CHARACTER:
            raise
        outside.execute(statement)


@contextmanager
def _restoring(server: Server) -> Iterator[OwnSession]:
    """Hold the database for this restore. Raises ``TargetNotEmpty`` where another restore holds it."""
    with connected(server) as session:
        for _ in range(_LOCK_LOOKS):  # as long as it takes until a drkit that was killed is missed
            remains.end(session, server)
            if one(session, f"select pg_catalog.pg_try_advisory_lock({_LOCK})")[0]:
                break
            process.pause(1.0)
        else:
            raise TargetNotEmpty(f"{server.shown} is being restored by another drkit", remains.hint(session, server))
        yield session


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

    def step(server: Server, attempt: int) -> None:
        again = attempt > 1
        _load(server, place, replace(origin, opened=None) if again else origin, sessions, resumed=resumed or again)
        with maintenance(server) as session:
            replicated(session)

    steadily(place.at, step)


def _load(server: Server, place: Place, origin: Origin, sessions: int, *, resumed: bool) -> None:
    with maintenance(server) as session:
        is_aside = aside.exists(session, aside.working_name(server.database))
        in_place = not is_aside and aside.exists(session, server.database)
        if not in_place:
            if resumed or not is_aside:
                aside.remove(session, server)
                _create_aside(session, server, place)
            try:
                _load_aside(aside.of(server), place, origin, sessions)
            except BaseException:
                with suppress(Exception):  # what cannot be removed now, the next restore removes
                    aside.remove(session, server)
                raise
    if in_place:  # with nobody of ours in it
        _load_in_place(server, place, origin, resumed=resumed)


def _load_aside(server: Server, place: Place, origin: Origin, sessions: int) -> None:
    with _restoring(server) as session:
        major = _major(session, place)
        if place.source.details["dump_format"] == CUSTOM:
            _feed(server.sections(major, place.source.size, sessions), place, origin)
        else:
            with unpacked(origin.vault, place.source, origin.staging, origin.task, origin.opened) as dump:
                server.unpacked(major, dump, f"--jobs={sessions}")


def _load_in_place(server: Server, place: Place, origin: Origin, *, resumed: bool) -> None:
    """All or nothing: cut short at any instant, it leaves the database as empty as it was."""
    with _restoring(server) as session:
        if resumed and catalog.user_objects(session) and not _differences(session, place):
            return
        see_empty(session, server)
        major = _major(session, place)
        if place.source.details["dump_format"] == CUSTOM:
            _feed(server.whole(major, place.source.size), place, origin)
        else:
            with unpacked(origin.vault, place.source, origin.staging, origin.task, origin.opened) as dump:
                server.unpacked(major, dump, "--single-transaction")


def _feed(loader: AbstractContextManager[Load], place: Place, origin: Origin) -> None:
    with loader as load:
        feed(origin.vault, place.source, load.write, origin.task, origin.opened)
        load.finish()


def _major(session: Session, place: Place) -> int:
    return max(major_of(session), place.major)


def analyze(place: Place) -> None:
    """Collect statistics, without which the first queries after a restore take minutes."""

    def step(server: Server, _: int) -> None:
        with connected(_where(server)) as session:
            session.execute("set client_min_messages = error")
            session.execute("analyze")

    steadily(place.at, step)


def prove(place: Place) -> None:
    """Count again and compare with the descriptor.

    Raises:
        VerificationFailed: something is not as it was.
    """

    def step(server: Server, _: int) -> None:
        where = _where(server)
        with connected(where) as session:
            wrong = _differences(session, place)
            if not wrong:
                aside.mark_proven(session, server)
        if wrong:
            raise VerificationFailed(
                f"{where.shown} is not what {place.source.name} was: {'; '.join(wrong[:SHOWN_OBJECTS])}",
                "do not use it; look at the recovery point: drkit verify --deep",
            )

    steadily(place.at, step)


def _differences(session: Session, place: Place) -> list[str]:
    proof.settle(session)
    expected = place.source.details["proof"]
    content = any("checksum" in table for table in expected["tables"].values())
    return proof.differences(expected, {**proof.take(session, content=content), **proof.take_sequences(session)})
