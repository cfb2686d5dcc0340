"""What all tests share: one PostgreSQL server and one lab for the session, a site and databases for each test."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from drkit import process
from drkit.lab import box as boxes
from drkit.lab import engine
from drkit.lab import postgres as servers
from drkit.restore.aside import working_name
from tests import stand_in_image
from tests.lab.labs import LabUser
from tests.lab.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker import DockerClient

    from drkit.lab.box import LabBox
    from drkit.lab.postgres import LabPostgres

_numbers = itertools.count(1)
_OURS = re.compile(r"test-(\d+)(-.*)?")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in this same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the tests to processes so that what is dear is made once: those of a file stay together, and of the lab.

    Files that use the shared lab are one group. Those of the suite of k3s say themselves which of them share machines.
    The lab's come first: they take longest, and the others fill the time in which they wait.
    """
    items.sort(key=lambda item: item.get_closest_marker("lab") is None)
    of_the_lab = {item.path for item in items if "lab" in getattr(item, "fixturenames", ())}
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("lab" if item.path in of_the_lab else str(item.path)))


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
def own_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What ends every program of drkit's in this test ends those of this test: the session's servers go on."""
    monkeypatch.setattr(process, "_children", set())
    yield
    process.start_again()


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


@pytest.fixture(scope="session")
def docker_engine() -> DockerClient:
    """The Docker engine. Where there is none the tests that need it fail, and say what is missing."""
    return engine.connect()


@pytest.fixture(scope="session")
def lab_user(docker_engine: DockerClient, lab_directory: Path) -> Iterator[LabUser]:
    """Somebody who runs ``drkit lab``, and whose labs are gone after the session."""
    from drkit.lab import containers  # noqa: PLC0415 - needs the package docker, which the fixture above checks

    for name in containers.labs(docker_engine):
        match = _OURS.fullmatch(name)
        if match and not os.path.exists(f"/proc/{match[1]}"):  # noqa: PTH110 - a name, not a file
            containers.remove(docker_engine, name)
    user = LabUser(lab_directory / "lab-user", f"test-{os.getpid()}")
    user.home.mkdir()
    yield user
    for name in containers.labs(docker_engine):
        if name == user.prefix or name.startswith(f"{user.prefix}-"):
            user.run("down", name=name)


@pytest.fixture(scope="session")
def lab(lab_user: LabUser) -> dict[str, object]:
    """The shared lab: one server, two agents, what ``drkit lab status --json`` says of it. Left as it was found."""
    found: dict[str, object] = lab_user.run("up", "--json", name=lab_user.prefix).json()
    return found


@pytest.fixture(scope="session")
def workload(lab_user: LabUser, lab: dict[str, object]) -> dict[str, object]:
    """The shared lab with the sample workload on it."""
    found: dict[str, object] = lab_user.run("up", "--workload", "--json", name=lab_user.prefix).json()
    return found
