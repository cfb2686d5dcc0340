"""Probes of a real PostgreSQL: what is acknowledged is there, and what is in doubt is said to be."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import psycopg
import pytest

from drkit.drill.probes.doors import Ways
from drkit.drill.probes.ledger import DATABASE, TABLE
from drkit.drill.probes.sql import APPLICATION
from drkit.drill.probes.sql_read import sql_read
from drkit.drill.probes.sql_write import sql_write
from drkit.drill.probes.wanted import Place, Sql
from drkit.drill.record import FAILED, OK, UNKNOWN
from tests.unit.drill.probes.asking import asked
from tests.unit.drill.probes.conftest import TLS_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.drill.record import Asked
    from drkit.lab.postgres import LabPostgres

WAYS = Ways({}, lambda _: None)
PROBE = "it's a \\ probe"
WAITING = f"select pid from pg_stat_activity where application_name = '{APPLICATION}' and wait_event_type = 'Lock'"


def waiting(connection: psycopg.Connection[tuple[int]]) -> list[int]:
    """The backends that wait for a lock."""
    return [pid for (pid,) in connection.execute(WAITING)]


def rows(server: LabPostgres) -> list[int]:
    """The numbers that are there."""
    with server.dsn(DATABASE).connect() as connection:
        query = f"select number from {TABLE} where run = 'run 1' and probe = %s order by number"
        return [number for (number,) in connection.execute(query, (PROBE,))]


def test_what_is_acknowledged_is_there(probed: LabPostgres, tmp_path: Path) -> None:
    """Each acknowledged row is in the table, and who took it is known: the server's address and its timeline."""
    address = Sql(probed.address(DATABASE), "run 1")

    async def scenario() -> list[Asked]:
        kinds = {PROBE: sql_write(address, PROBE, WAYS), "read": sql_read(address, WAYS)}
        async with asked(tmp_path / "record", kinds, every=0.1, timeout=20.0) as asking:
            await asking.next(OK, 10)
        return asking.answers()

    answers = asyncio.run(scenario())
    assert {each.outcome for each in answers} == {OK}
    assert rows(probed) == sorted(each.row for each in answers if each.row is not None)
    assert {(each.server, each.timeline) for each in answers} == {("127.0.0.1", 1)}


def test_a_write_that_was_sent_and_not_answered_is_unknown(probed: LabPostgres, tmp_path: Path) -> None:
    """A server that dies while it commits leaves the outcome open; it is ok again when it has recovered."""
    kind = sql_write(Sql(probed.address(DATABASE), "run 1"), PROBE, WAYS)

    async def scenario() -> list[Asked]:
        async with asked(tmp_path / "record", {PROBE: kind}, every=0.2, timeout=20.0) as asking:
            await asking.next(OK)
            with psycopg.connect(probed.address(DATABASE)) as holding, probed.dsn(DATABASE).connect() as looking:
                holding.execute(f"lock table {TABLE} in exclusive mode")
                await asking.until(lambda: len(waiting(looking)) >= 3)
                os.kill(waiting(looking)[0], signal.SIGKILL)  # at which PostgreSQL ends all sessions, and recovers
                await asking.until(lambda: [each for each in asking.answers() if each.outcome == UNKNOWN])
                holding.close()
            await asking.next(OK)
        return asking.answers()

    answers = asyncio.run(scenario())
    unknown = [each for each in answers if each.outcome == UNKNOWN]
    assert any(each.said in {"closed", "reset"} or each.said.startswith("57P02") for each in unknown)
    assert {True, False} == {each.session for each in unknown}
    there = set(rows(probed))
    assert {each.row for each in answers if each.outcome == OK} <= there
    assert there <= {each.row for each in answers if each.outcome in {OK, UNKNOWN}}


def test_a_write_that_times_out_after_it_was_sent_is_unknown(probed: LabPostgres, tmp_path: Path) -> None:
    """A commit that is waited for in vain may come about yet."""
    kind = sql_write(Sql(probed.address(DATABASE), "run 1"), PROBE, WAYS)

    async def scenario() -> list[Asked]:
        async with asked(tmp_path / "record", {PROBE: kind}, every=0.5, timeout=2.0, session=False) as asking:
            with psycopg.connect(probed.address(DATABASE)) as holding:
                holding.execute(f"lock table {TABLE} in exclusive mode")
                await asking.until(lambda: [each for each in asking.answers() if each.outcome == UNKNOWN])
            await asking.next(OK)
        return asking.answers()

    answers = asyncio.run(scenario())
    assert {each.said for each in answers if each.outcome == UNKNOWN} == {"timeout"}
    assert {each.row for each in answers if each.outcome == OK} <= set(rows(probed))


def refused(path: Path, kind_of: Sql) -> set[str]:
    """What is said by questions that fail."""

    async def scenario() -> list[Asked]:
        async with asked(path, {"p": sql_read(kind_of, WAYS)}, every=0.2, timeout=20.0) as asking:
            return await asking.next(FAILED, 1)

    return {each.said for each in asyncio.run(scenario())}


def test_a_wrong_password_is_a_failure(probed: LabPostgres, tmp_path: Path) -> None:
    """Who is not let in is told by the server's own word."""
    wrong = Sql(probed.address(DATABASE, password="another"), "run")
    assert refused(tmp_path / "record", wrong) == {'28P01 password authentication failed for user "postgres"'}


def test_an_unknown_table_is_a_failure(probed: LabPostgres, tmp_path: Path) -> None:
    """A database that was not prepared is told by the server's own word."""
    (found,) = refused(tmp_path / "record", Sql(probed.address("postgres"), "run"))
    assert found.startswith("42P01 ")


def test_tls_that_is_required_and_not_there_is_a_failure(
    postgres: LabPostgres, database: object, tmp_path: Path
) -> None:
    """A server without TLS is not talked to where the connection string requires it."""
    assert refused(tmp_path / "record", Sql(postgres.address("postgres") + "?sslmode=require", "run")) == {"no TLS"}


@pytest.mark.parametrize(
    ("name", "expected"), [(TLS_NAME, set()), ("another.test", {"certificate: Hostname mismatch, certificate is not"})]
)
def test_the_servers_certificate_is_verified(
    probed: LabPostgres, tls: tuple[Path, Path], tmp_path: Path, name: str, expected: set[str]
) -> None:
    """``verify-full`` takes the server whose name it is, through whatever address, and no other."""
    dsn = probed.address(DATABASE).replace("127.0.0.1", name) + f"?sslmode=verify-full&sslrootcert={tls[0]}"
    kind = sql_read(Sql(dsn, "run", Place("127.0.0.1", probed.port)), WAYS)

    async def scenario() -> list[Asked]:
        async with asked(tmp_path / "record", {"p": kind}, every=0.2, timeout=20.0) as asking:
            return await asking.next(FAILED if expected else OK, 1)

    found = asyncio.run(scenario())
    for each in expected:
        assert all(answer.said.startswith(each) for answer in found)
