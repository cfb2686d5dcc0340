"""Writes that can be accounted for: the table that they go to, and which rows every instance has in the end.

Each row carries the drill and the probe that wrote it, and a number. Nothing keeps a number from being there twice:
what a pooler or a client sent again must show.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from drkit import process
from drkit.drill.record import Rows
from drkit.errors import SourceFailed
from drkit.postgres.quoting import literal
from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from drkit.drill.record import Recorder
    from drkit.postgres.session import OwnSession

DATABASE = "drkit_drill"
SCHEMA = "drkit_drill"
TABLE = "drkit_drill.writes"
SETUP = (
    f"create schema if not exists {SCHEMA}",
    f"""create table if not exists {TABLE} (
    run text not null, probe text not null, number bigint not null,
    written timestamptz not null default pg_catalog.clock_timestamp())""",
)
"""Makes what probes read and write, in a database of their own, as the user that they come as."""

_LOOK_SECONDS = 0.2
_PRIMARY, _REPLICA = "primary", "replica"


class Reached(Protocol):
    """How one instance's database is reached, by ``drkit.cluster.server.InPod`` or ``drkit.postgres.access.ByDsn``."""

    def connect(self) -> OwnSession:
        """A new session. Raises ``SourceFailed``."""
        ...


@dataclass(frozen=True)
class Instance:
    """One instance: what the record calls it, and how its database ``DATABASE`` is reached."""

    name: str
    reached: Reached


@dataclass
class _Asked:
    """An instance while it is read."""

    name: str
    session: OwnSession | None = None
    role: str = ""
    said: str = ""


def compacted(counted: Iterable[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], dict[str, int]]:
    """Numbers as closed ranges, and those that are there more than once, and how often. Pure.

    Args:
        counted: each number once, in order, and how often it is there.
    """
    ranges: list[tuple[int, int]] = []
    twice: dict[str, int] = {}
    for number, count in counted:
        if count > 1:
            twice[str(number)] = count
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    return tuple(ranges), twice


def read_everywhere(
    recorder: Recorder, run: str, probes: Sequence[str], instances: Sequence[Instance], *, patience: float
) -> list[Rows]:
    """Which rows every instance has, as entries for the record; to be called once all have rejoined and nobody writes.

    A replica is read when it has replayed all that the primary has written. One that cannot be asked has an entry with
    the reason.

    Args:
        recorder: for the time; nothing is written.
        run: the drill's id.
        probes: the names of those that wrote.
        instances: all that there are.
        patience: seconds to wait for replicas, all together; they are read as they are then.
    """
    with ExitStack() as stack:
        asked = [_connect(each, stack) for each in instances]
        _await_replay(asked, time.monotonic() + patience)
        return [_read(recorder.at(), run, probe, each) for probe in probes for each in asked]


def _connect(instance: Instance, stack: ExitStack) -> _Asked:
    made = _Asked(instance.name)
    try:
        session = instance.reached.connect()
        stack.callback(session.close)
        row = session.execute("select pg_catalog.pg_is_in_recovery()").fetchone()
        made.role = _REPLICA if row is not None and row[0] else _PRIMARY
        made.session = session
    except (SourceFailed, StatementFailed) as error:
        made.said = process.tail(str(error))
    return made


def _await_replay(asked: Sequence[_Asked], until: float) -> None:
    """Wait until the replicas have all that the primary has."""
    written = next((_written(each) for each in asked if each.role == _PRIMARY), None)
    waiting = [each for each in asked if each.role == _REPLICA]
    while written is not None and (waiting := [each for each in waiting if not _has_replayed(each, written)]):
        if time.monotonic() > until:
            return
        process.pause(_LOOK_SECONDS)


def _written(primary: _Asked) -> str | None:
    assert primary.session is not None  # noqa: S101 - it has a role
    try:
        row = primary.session.execute("select pg_catalog.pg_current_wal_lsn()::text").fetchone()
    except StatementFailed:
        return None
    return None if row is None else str(row[0])


def _has_replayed(replica: _Asked, written: str) -> bool:
    """Whether it has; a replica that says nothing is not waited for."""
    assert replica.session is not None  # noqa: S101 - it has a role
    difference = f"pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), {literal(written)})"
    try:
        row = replica.session.execute(f"select coalesce({difference} >= 0, false)").fetchone()
    except StatementFailed:
        return True
    return row is not None and bool(row[0])


def _read(at: float, run: str, probe: str, asked: _Asked) -> Rows:
    if asked.session is None:
        return Rows(at, probe, asked.name, asked.role, said=asked.said)
    whose = f"run = {literal(run)} and probe = {literal(probe)}"
    query = f"select number, count(*) from {TABLE} where {whose} group by number"  # noqa: S608 - literals
    try:
        counted = sorted((int(number), int(count)) for number, count in asked.session.execute(query))
    except StatementFailed as error:
        return Rows(at, probe, asked.name, asked.role, said=process.tail(str(error)))
    return Rows(at, probe, asked.name, asked.role, *compacted(counted))
