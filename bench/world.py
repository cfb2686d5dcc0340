"""What is measured on: a PostgreSQL server with data, a box behind sshd, and a place for each tool's own files."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.meter import Meter
from drkit import process
from drkit.errors import DrkitError
from drkit.lab import box as boxes
from drkit.lab import postgres as servers
from drkit.postgres import programs
from drkit.vault.borg import find_borg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.lab.box import LabBox
    from drkit.lab.postgres import LabPostgres

DATABASES = ("one", "two")
TINY = "tiny"
SPARE = "spare"
"""The database that restores make; there is none of this name otherwise."""
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of repositories that live as long as the benchmark
SETTINGS = {"autovacuum": "off"}
"""Beside the lab's own: a vacuum that starts when it likes would fall on one side of a pair."""

_ROWS_TABLES = """
create table accounts (aid integer not null, bid integer not null, abalance integer not null, filler char(84) not null);
create table tellers (tid integer primary key, bid integer not null, tbalance integer not null, filler char(84));
create table branches (bid integer primary key, bbalance integer not null, filler char(88));
create table history (tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22));
"""
_FILLER = "substr(md5(random()::text) || md5(random()::text) || md5(random()::text), 1, 84)"


@dataclass(frozen=True)
class World:
    """Everything that a measurement needs."""

    directory: Path
    postgres: LabPostgres
    box: LabBox
    meter: Meter
    rows: int
    """Rows of the large table of each database."""

    def home(self, name: str) -> Path:
        """A tool's own home directory."""
        return self.directory / "homes" / name

    def environment(self, name: str) -> dict[str, str]:
        """A tool's environment: the common one, and a home in which alone it keeps caches and state."""
        home = self.home(name)
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        common = process.clean_environment()
        return {
            "PATH": common["PATH"],
            "LANG": common["LANG"],
            "LC_ALL": common["LC_ALL"],
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
        }

    def forget(self, name: str) -> None:
        """Remove a tool's home and its repository: what it runs next is a first run."""
        for path in (self.home(name), self.box.storage / name):
            shutil.rmtree(path, ignore_errors=True)

    def client(self, program: str) -> str:
        """The path of one of PostgreSQL's programs, the same for every tool."""
        return programs.client(program, self.postgres.major)

    def libpq(self) -> dict[str, str]:
        """How PostgreSQL's programs find the server when a person calls them."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
            "PGUSER": "postgres",
            "PGPASSWORD": self.postgres.password,
        }

    def remote_shell(self) -> str:
        """SSH as one has to call it to reach the box, with everything else as OpenSSH has it by default."""
        known = f"-o UserKnownHostsFile={self.box.known_hosts} -o StrictHostKeyChecking=yes"
        return f"ssh -o BatchMode=yes -o IdentitiesOnly=yes -i {self.box.key} {known}"

    def execute(self, database: str, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with self.postgres.dsn(database).connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def settle(self) -> None:
        """Bring the server to the state in which every timed run starts."""
        self.execute("postgres", "checkpoint")

    def drop(self, database: str) -> None:
        """Drop a database, if it is there."""
        self.execute("postgres", f'drop database if exists "{database}" with (force)')

    def recreate(self, database: str) -> None:
        """An empty database in the place of whatever was there."""
        self.drop(database)
        self.execute("postgres", f'create database "{database}" template template0')


@contextmanager
def world(rows: int, patience: float) -> Iterator[World]:
    """Set it all up for the time of the body, and leave nothing behind.

    Args:
        rows: of the large table of each database; 4.5 million make 0.45 GB of dump.
        patience: seconds to wait before each run, at the most, for others to leave the machine idle.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drkit-bench-")))
        directory.chmod(0o711)  # the server may run as another user
        postgres = stack.enter_context(servers.server(directory, settings=SETTINGS))
        box = stack.enter_context(boxes.box(directory))
        meter = Meter(_pids(directory, box), sessions="sshd", patience=patience)
        made = World(directory, postgres, box, meter, rows)
        _fill(made)
        yield made


def _pids(directory: Path, box: LabBox) -> Mapping[str, int]:
    postmaster = (directory / "postgres" / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0]
    sshd = (box.directory / "sshd.pid").read_text(encoding="ascii")
    return {"postgresql": int(postmaster), "sshd": int(sshd)}


def _fill(made: World) -> None:
    """Tables as pgbench makes them, but with a filler that does not compress away; pgbench's is blanks."""
    for number, database in enumerate(DATABASES, 1):
        made.recreate(database)
        branches = max(1, made.rows // 100_000)
        made.execute(
            database,
            f"select setseed({number / 10})",  # other rows in each: Borg stores the same ones once
            _ROWS_TABLES,
            f"insert into accounts select i, (i - 1) / 100000 + 1, 0, {_FILLER} from generate_series(1, {made.rows}) i",
            f"insert into tellers select i, (i - 1) / 10 + 1, 0, null from generate_series(1, {branches * 10}) i",
            f"insert into branches select i, 0, null from generate_series(1, {branches}) i",
            "alter table accounts add primary key (aid)",
            "vacuum analyze",
        )
    made.recreate(TINY)
    made.execute(TINY, "create table notes (id integer primary key, note text)", "insert into notes values (1, 'one')")


def update(made: World, share: float = 0.01) -> None:
    """Give a share of the rows, chosen at random, another balance and filler."""
    for database in DATABASES:
        made.execute(
            database,
            f"update accounts set abalance = abalance + 1, filler = {_FILLER} where random() < {share}",
            # What the next reader would otherwise do for all that come after it.
            "vacuum analyze",
        )


def size_of_dump(made: World, database: str, into: Path) -> int:
    """Dump a database into a file as every tool here does; its size in bytes."""
    argv = [made.client("pg_dump"), "-Fc", "-Z0", "--file", str(into), database]
    done = process.run(argv, deadline=600, env={**made.environment("by-hand"), **made.libpq()})
    if done.status != 0:
        raise DrkitError(process.tail(done.stderr))
    return into.stat().st_size


def borg() -> str:
    """The Borg that every tool here uses."""
    return os.fspath(find_borg())
