"""What every scratch server keeps to, whether this machine's programs run it or a container."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drkit import process
from drkit.config.model import Postgresql
from drkit.errors import RestoreFailed
from drkit.observe.progress import PlainReporter
from drkit.postgres import load, programs
from drkit.postgres.connection import libpq_environment
from drkit.postgres.scratch import choose, container
from tests.conftest import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.lab.postgres import LabPostgres
    from drkit.postgres.scratch.server import Scratch

    Start = Callable[[], AbstractContextManager[Scratch]]


@pytest.fixture
def parent(lab_directory: Path) -> Path:
    """Where the servers keep what they keep; unprivileged users can get there."""
    directory = lab_directory / "scratch"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(params=["local", "container", "container with its own clients"])
def start(
    request: pytest.FixtureRequest, postgres: LabPostgres, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> Start:
    """Starts a server of each implementation."""
    if request.param == "local":
        return lambda: choose.server(postgres.major, Postgresql(), parent, PlainReporter())
    image: str = request.getfixturevalue("scratch_image").replace("{major}", str(postgres.major))
    if request.param.endswith("clients"):
        monkeypatch.setattr(programs, "_installed", lambda *_: [])
    return lambda: container.server(postgres.major, image, (), parent, PlainReporter())


def test_it_is_of_the_version_that_was_asked_for(start: Start, postgres: LabPostgres) -> None:
    """The major version is exactly the one that the archive came from, with a collation that is the same everywhere."""
    with start() as scratch, scratch.dsn("postgres").connect() as connection:
        assert scratch.major == postgres.major
        assert connection.info.server_version // 10000 == postgres.major
        assert connection.execute(
            "select pg_encoding_to_char(encoding), datcollate from pg_database where datname = 'template0'"
        ).fetchone() == ("UTF8", "C")


def test_its_clients_dump_and_load(start: Start) -> None:
    """What its client programs dump from one of its databases they load into another, streams and settings included."""
    with start() as scratch:
        with scratch.dsn("postgres").connect() as server:
            server.execute("create database one")
            server.execute("create database other")
        with scratch.dsn("one").connect() as connection:
            connection.execute(SMALL)
        with libpq_environment(scratch.dsn("one")) as (env, _):
            dumped = process.run([*scratch.client("pg_dump"), "--format=custom"], deadline=60, env=env)
        assert dumped.status == 0, dumped.stderr
        with load.loader(scratch.client("pg_restore"), scratch.dsn("other")) as sink:
            sink.write(dumped.stdout)
            sink.finish()
        with scratch.dsn("other").connect() as connection:
            assert connection.execute("select count(*), sum(amount) from purchase").fetchone() == (2000, 2001000)


def test_a_client_that_fails_is_seen_to(start: Start) -> None:
    """A load that cannot work fails with the program's own last words."""
    with start() as scratch, load.loader(scratch.client("pg_restore"), scratch.dsn("postgres")) as sink:
        with suppress(RestoreFailed):  # it may be gone before it has read
            sink.write(b"this is no dump")
        with pytest.raises(RestoreFailed, match=r"pg_restore: error"):
            sink.finish()


def test_nobody_else_reaches_it(start: Start) -> None:
    """It listens on no address, and its socket is behind a directory that only its owner can enter."""
    with start() as scratch:
        with scratch.dsn("postgres").connect() as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)
        socket = scratch.directory / ".s.PGSQL.5432"
        assert stat.S_ISSOCK(socket.stat().st_mode)
        around = (scratch.directory, scratch.directory.parent)
        assert any(stat.S_IMODE(directory.stat().st_mode) == 0o700 for directory in around)
        if os.geteuid() == 0:
            assert process.run(["test", "-e", str(socket)], deadline=10, user="daemon").status == 1


def test_it_runs_without_privileges(start: Start) -> None:
    """The server's process, whose file the socket is, is not root's."""
    with start() as scratch:
        assert (scratch.directory / ".s.PGSQL.5432").stat().st_uid != 0


def test_two_at_once_are_two(start: Start) -> None:
    """What happens in one server does not show in another that runs at the same time."""
    with start() as first, start() as second:
        with first.dsn("postgres").connect() as connection:
            connection.execute("create table here (id int)")
        with second.dsn("postgres").connect() as connection:
            assert connection.execute("select to_regclass('here')").fetchone() == (None,)


@pytest.mark.parametrize("ends", [None, RuntimeError, KeyboardInterrupt])
def test_nothing_of_it_stays(start: Start, parent: Path, ends: type[BaseException] | None) -> None:
    """However the work on it ends, with open connections or not, server and data are gone afterwards."""
    with suppress(RuntimeError, KeyboardInterrupt), start() as scratch:
        connection = scratch.dsn("postgres").connect()
        connection.execute("create table here as select generate_series(1, 1000) as id")
        if ends is not None:
            raise ends
    assert list(parent.iterdir()) == []
    with pytest.raises(Exception, match=r"terminat|closed|connection"):
        connection.execute("select 1")
