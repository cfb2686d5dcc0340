"""The open loop: questions leave in time whatever becomes of others; and what a session costs when it breaks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drkit.drill.probes.doors import Ways
from drkit.drill.probes.http import HttpKind
from drkit.drill.probes.sql_write import sql_write
from drkit.drill.probes.tcp import TcpKind
from drkit.drill.probes.wanted import Http, Place, Sql, Tcp
from drkit.drill.record import FAILED, OK
from tests.unit.drill.probes import targets
from tests.unit.drill.probes.asking import asked
from tests.unit.drill.probes.targets import SILENT, Target

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.drill.probes.port import Kind
    from drkit.drill.record import Asked

WAYS = Ways({}, lambda _: None)


def spoken(target: Target) -> Kind:
    """A port where something has to come back."""
    return TcpKind(Tcp(Place("127.0.0.1", target.port), "ping\n", "ping\n"), WAYS, 5.0)


def written(target: Target) -> Kind:
    """A database that is written."""
    return sql_write(Sql(f"postgresql://me@127.0.0.1:{target.port}/d?sslmode=disable", "run"), "p", WAYS)


def page(target: Target) -> Kind:
    """A page."""
    return HttpKind(Http(f"http://127.0.0.1:{target.port}/"), WAYS)


def series(answers: list[Asked], *, session: bool) -> list[Asked]:
    """Those of one series."""
    return [each for each in answers if each.session == session]


def test_a_target_that_hangs_delays_no_other_one(tmp_path: Path) -> None:
    """While every question to one target hangs, those to another leave when they are due, and are answered."""

    async def scenario() -> list[Asked]:
        async with Target(targets.echo) as good, Target(targets.echo) as bad:
            await bad.turn(SILENT)
            kinds = {"good": spoken(good), "bad": spoken(bad)}
            async with asked(tmp_path / "record", kinds, timeout=1.5) as asking:
                await asking.until(lambda: [each for each in asking.answers("bad") if each.session])
            return asking.answers()

    answers = asyncio.run(scenario())
    first_end = min(each.at for each in answers if each.probe == "bad")
    before = [each for each in answers if each.at < first_end]
    assert len(before) > 30, "of two series, of about fifty each"
    assert {each.outcome for each in before} == {OK}
    assert {each.outcome for each in answers if each.probe == "bad"} == {FAILED}


def test_a_slow_target_does_not_delay_its_own_questions(tmp_path: Path) -> None:
    """Questions go on leaving in time while earlier ones to the same target wait; latency counts from the due time."""

    async def slowly(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readuntil(b"\n")
        await asyncio.sleep(0.5)
        writer.write(line)
        await reader.read()

    async def scenario() -> list[Asked]:
        async with (
            Target(slowly) as slow,
            asked(tmp_path / "record", {"p": spoken(slow)}, timeout=5.0, session=False) as asking,
        ):
            await asking.next(OK, 20)
        return asking.answers()

    answers = asyncio.run(scenario())
    assert [each.number for each in answers] == list(range(len(answers)))
    assert all(each.at - each.due >= 0.5 for each in answers)
    assert len([each for each in answers if each.sent < answers[0].at]) >= 8, "as many as were due by then, or nearly"


def test_a_prober_that_is_held_up_asks_all_that_was_due(tmp_path: Path) -> None:
    """A loop that was stopped for a while sends each question that was due meanwhile, which shows how late it is."""

    async def scenario() -> list[Asked]:
        async with (
            Target(targets.echo) as target,
            asked(tmp_path / "record", {"p": spoken(target)}, timeout=5.0, session=False) as asking,
        ):
            await asking.next(OK)
            time.sleep(0.5)  # noqa: ASYNC251 - it is to be held up
            await asking.next(OK)
        return asking.answers()

    answers = asyncio.run(scenario())
    assert [each.number for each in answers] == list(range(len(answers)))
    assert max(each.sent - each.due for each in answers) > 0.4
    assert all(abs(each.due - answers[0].due - each.number * 0.03) < 1e-4 for each in answers)


def test_a_session_over_http_that_ends_idle_costs_nothing(tmp_path: Path) -> None:
    """A web server that ends a connection between two requests fails none: every client opens another one."""

    async def once(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario() -> list[Asked]:
        async with Target(once) as target, asked(tmp_path / "record", {"p": page(target)}, timeout=5.0) as asking:
            await asking.next(OK, 10)
        return asking.answers()

    assert {each.outcome for each in asyncio.run(scenario())} == {OK}


def test_a_session_that_announces_its_end_costs_nothing(tmp_path: Path) -> None:
    """``Connection: close`` is heeded: the next request goes over another connection."""

    async def announcing(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await reader.read()  # it is the client that has to go

    async def scenario() -> list[Asked]:
        async with Target(announcing) as target, asked(tmp_path / "record", {"p": page(target)}) as asking:
            await asking.next(OK, 10)
        return asking.answers()

    assert {each.outcome for each in asyncio.run(scenario())} == {OK}


def test_a_session_of_a_database_that_ends_costs_one_question(tmp_path: Path) -> None:
    """A database that throws a session out between two statements costs its user one error, and the next is ok."""

    async def scenario() -> list[Asked]:
        async with (
            Target(targets.postgresql) as target,
            asked(tmp_path / "record", {"p": written(target)}, every=0.2, timeout=5.0) as asking,
        ):
            await asking.next(OK)
            await target.stop()
            await target.start()
            await asking.next(OK)
        return asking.answers(session=True)

    answers = asyncio.run(scenario())
    assert [each.said for each in answers if each.outcome != OK] == ["session ended"]


def test_a_late_answer_is_not_the_next_ones(tmp_path: Path) -> None:
    """A session whose question was not answered in time is dropped: what comes late answers nobody."""
    slow = [True]

    async def numbered(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            line = await reader.readuntil(b"\n")
            if slow:
                slow.clear()
                await asyncio.sleep(0.5)
            writer.write(line)

    async def scenario() -> tuple[list[Asked], int]:
        async with Target(numbered) as target, asked(tmp_path / "record", {"p": spoken(target)}) as asking:
            await asking.next(OK)
            before = target.connections
            slow.append(True)
            await asking.until(lambda: not slow)
            await asking.next(OK)
        return asking.answers(), before

    answers, _ = asyncio.run(scenario())
    assert [each.number for each in series(answers, session=True)] == list(range(len(series(answers, session=True))))
    assert {each.said for each in answers} <= {"", "timeout"}


def test_every_row_is_written_once(tmp_path: Path) -> None:
    """Rows of new connections, of sessions and of several probes have numbers of their own, without gaps."""

    async def scenario() -> list[Asked]:
        async with (
            Target(targets.postgresql) as one,
            Target(targets.postgresql) as two,
            asked(tmp_path / "record", {"a": written(one), "page": spoken(one), "b": written(two)}) as asking,
        ):
            await asking.until(lambda: len(asking.answers("b")) > 20)
        return asking.answers()

    answers = asyncio.run(scenario())
    rows = [each.row for each in answers if each.row is not None]
    assert len(rows) == len(set(rows))
    assert {each.probe for each in answers if each.row is None} == {"page"}
    assert sorted(rows)[:40] == list(range(40))
