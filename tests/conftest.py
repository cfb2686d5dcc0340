"""What all tests share: one PostgreSQL server for the session, a site and databases for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from drkit.lab import box as boxes
from drkit.lab import postgres as servers
from drkit.restore.aside import working_name
from tests import stand_in_image
from tests.lab.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.box import LabBox
    from drkit.lab.postgres import LabPostgres

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests to processes so that what is dear is made once: those of a file stay together, and of the lab.

    The suite of k3s makes its own machines for each file; all other tests with the mark ``lab`` share one lab.
    """
    for item in items:
        shares_the_lab = item.get_closest_marker("lab") is not None and "k3s" not in item.path.parts
        item.add_marker(pytest.mark.xdist_group("lab" if shares_the_lab else str(item.path)))


@pytest.fixture(scope="session")
def lab_directory() -> Iterator[Path]:
    """A directory that unprivileged servers can enter, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="drkit-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(lab_directory: Path) -> Iterator[LabPostgres]:
    """A PostgreSQL server that the session's tests share; each test has databases of its own in it."""
    with servers.server(lab_directory) as running:
        yield running


@pytest.fixture(scope="session")
def scratch_image(postgres: LabPostgres) -> str:
    """An image with PostgreSQL of the server's version, as the configuration names it; skips where Docker is not."""
    return stand_in_image.ensure(postgres.major)


@pytest.fixture
def database(postgres: LabPostgres) -> Iterator[Callable[..., str]]:
    """Makes databases and drops them after the test."""
    made: list[str] = []

    def make(script: str = "", name: str | None = None) -> str:
        chosen = name or f"test_{next(_numbers)}"
        made.append(chosen)
        with postgres.dsn("postgres").connect() as server:
            server.execute(sql.SQL("create database {}").format(sql.Identifier(chosen)))
        if script:
            with postgres.dsn(chosen).connect() as connection:
                connection.execute(script)
        return chosen

    yield make
    with postgres.dsn("postgres").connect() as server:
        for name in made:
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def absent(postgres: LabPostgres) -> Iterator[Callable[..., str]]:
    """Names databases that are not there; what a test makes under such a name is dropped after it."""
    named: list[str] = []

    def name(chosen: str | None = None) -> str:
        named.append(chosen or f"absent_{next(_numbers)}")
        return named[-1]

    yield name
    with postgres.dsn("postgres").connect() as server:
        for each in itertools.chain(named, map(working_name, named)):
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(each)))


@pytest.fixture
def site(tmp_path: Path, postgres: LabPostgres) -> Site:
    """A user's site without a configuration yet."""
    return Site(tmp_path, postgres)


@pytest.fixture
def box(lab_directory: Path) -> Iterator[LabBox]:
    """A Storage Box stand-in of the test's own."""
    directory = Path(tempfile.mkdtemp(prefix="box-", dir=lab_directory))
    with boxes.box(directory) as running:
        yield running
    shutil.rmtree(directory, ignore_errors=True)


SMALL = """
create table customer (id serial primary key, name text not null);
insert into customer (name) select 'customer ' || g from generate_series(1, 500) g;
create table purchase (id bigserial primary key, customer int references customer, amount numeric(10, 2));
insert into purchase (customer, amount) select 1 + g % 500, g from generate_series(1, 2000) g;
create view spent as select customer, sum(amount) as total from purchase group by customer;
"""


@pytest.fixture
def small(database: Callable[..., str]) -> str:
    """A database with two small tables."""
    return database(SMALL)
