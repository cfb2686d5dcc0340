"""The tools that are compared: each makes its backups of both databases into a repository of its own on the box."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.meter import Program
from bench.world import DATABASES, PASSPHRASE, SPARE, TINY, World, borg
from drkit import process
from drkit.config.model import VaultConfig
from drkit.errors import DrkitError
from drkit.points.names import slug

if TYPE_CHECKING:
    from bench.meter import Measured, Pipeline

BORGMATIC = "2.1.10"
ROOT = Path(__file__).parent.parent
_ENCRYPTION = "repokey-blake2"
_DEADLINE = 600.0
_WHOLE = 0.98
"""How much of its size a dump in an archive has to have to count as whole."""


def default_compression() -> str:
    """How drkit compresses when nothing is configured."""
    return str(VaultConfig.model_fields["compression"].default)


def run(argv: list[str], env: dict[str, str], deadline: float = _DEADLINE) -> str:
    """Run a program that is not measured; what it prints.

    Raises:
        DrkitError: it failed.
    """
    done = process.run(argv, deadline=deadline, env=env)
    if done.status != 0:
        raise DrkitError(f"{' '.join(argv[:3])} ended with {done.status}\n{process.tail(done.stderr)}")
    return done.stdout.decode()


class Tool(Protocol):
    """A way to back up both databases."""

    @property
    def name(self) -> str:
        """What it is called in the results."""
        ...

    def fresh(self) -> float:
        """Begin anew, without repository and caches; seconds that making a repository took apart from the backup."""
        ...

    def backup(self) -> Measured:
        """Back up, measured."""
        ...

    def check(self, least: dict[str, int]) -> None:
        """See that the newest backup holds every dump. Raises ``DrkitError`` where it does not."""
        ...


@dataclass
class Drkit:
    """drkit with its defaults. The repository is made by the first backup itself."""

    world: World
    name: str = "drkit"

    def fresh(self) -> float:
        """Nothing is made apart from the backup."""
        self.world.forget(self.name)
        self.environment()
        return 0.0

    def environment(self) -> dict[str, str]:
        """Its environment, with the secrets that its configuration names."""
        postgres = self.world.postgres
        secrets = {f"BENCH_{name.upper()}": postgres.address(name) for name in (*DATABASES, TINY, SPARE)}
        return {**self.world.environment(self.name), **secrets, "BENCH_PASSPHRASE": PASSPHRASE}

    def program(self, *arguments: str, config: str = "drkit.json") -> Program:
        """A call of drkit."""
        file = self.world.home(self.name) / config
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self._configuration()))  # JSON is YAML
        argv = [str(Path(sys.executable).parent / "drkit"), *arguments, "--config", str(file)]
        return Program(argv, self.environment())

    def _configuration(self) -> dict[str, Any]:
        box = self.world.box
        ssh = {"key": str(box.key), "known_hosts": str(box.known_hosts)}
        spare = {"provider": "ssh", "databases": [{"name": DATABASES[0], "dsn": {"env": f"BENCH_{SPARE.upper()}"}}]}
        return {
            "cluster": {"name": "bench"},
            "vaults": {"databases": {"url": box.url(self.name), "passphrase": {"env": "BENCH_PASSPHRASE"}, "ssh": ssh}},
            "databases": [{"name": name, "dsn": {"env": f"BENCH_{name.upper()}"}} for name in DATABASES],
            "clusters": {"spare": spare},
        }

    def backup(self) -> Measured:
        """``drkit backup``."""
        return self.world.meter.run([(self.program("backup", "--json"),)], self.world.directory)

    def check(self, least: dict[str, int]) -> None:
        """Its own report says the sizes."""
        listed = json.loads(run(list(self.program("points", "--json").argv), self.environment()))
        newest = listed["points"][0]
        sizes = {source["name"]: source["size"] for source in newest["sources"]}
        _see({name: sizes.get(f"database/{name}", 0) for name in least}, least, self.name)

    def archive(self, database: str) -> str:
        """The newest archive of a database, by the name that Borg knows."""
        listed = json.loads(run([borg(), "list", "--json", self.world.box.url(self.name)], self.by_hand()))
        wanted = slug(f"database/{database}")
        return str([entry["name"] for entry in listed["archives"] if entry["name"].endswith(f".{wanted}")][-1])

    def by_hand(self) -> dict[str, str]:
        """The environment in which one calls Borg on drkit's repository."""
        return _borg_environment(self.world, "borg-on-drkit")


@dataclass
class Borgmatic:
    """borgmatic with its PostgreSQL hook: dumps in the custom format, uncompressed, so that Borg can deduplicate."""

    world: World
    compression: str

    @property
    def name(self) -> str:
        """Told apart by the compression."""
        return f"borgmatic {self.compression}"

    @property
    def _directory(self) -> str:
        return slug(self.name)

    def fresh(self) -> float:
        """``borgmatic repo-create``, timed."""
        self.world.forget(self._directory)
        program = self.program("repo-create", "--encryption", _ENCRYPTION)
        return self.world.meter.run([(program,)], self.world.directory).seconds

    def program(self, *arguments: str) -> Program:
        """A call of borgmatic."""
        env = self.world.environment(self._directory)
        file = self.world.home(self._directory) / "borgmatic.json"
        file.write_text(json.dumps(self._configuration()))
        file.chmod(0o600)
        return Program([str(venv() / "bin" / "borgmatic"), "--config", str(file), *arguments], env)

    def _configuration(self) -> dict[str, Any]:
        world = self.world
        common = {
            "hostname": "127.0.0.1",
            "port": world.postgres.port,
            "username": "postgres",
            "password": world.postgres.password,
            "format": "custom",
            "compression": 0,
            "pg_dump_command": world.client("pg_dump"),
            "pg_restore_command": world.client("pg_restore"),
            "psql_command": world.client("psql"),
        }
        return {
            "repositories": [{"path": world.box.url(self._directory)}],
            "local_path": borg(),
            "ssh_command": world.remote_shell(),
            "encryption_passphrase": PASSPHRASE,
            "compression": self.compression,
            "postgresql_databases": [{"name": name, **common} for name in DATABASES],
        }

    def backup(self) -> Measured:
        """``borgmatic create``."""
        return self.world.meter.run([(self.program("create"),)], self.world.directory)

    def restore(self, database: str) -> Program:
        """``borgmatic restore`` of the newest archive, into the database that it is from."""
        port = str(self.world.postgres.port)  # asked for, borgmatic finds no dump of a server with a port otherwise
        return self.program("restore", "--archive", "latest", "--database", database, "--original-port", port)

    def check(self, least: dict[str, int]) -> None:
        """Borg lists what is in the archive."""
        env, url = _borg_environment(self.world, self._directory), self.world.box.url(self._directory)
        newest = run([borg(), "list", "--last", "1", "--format", "{archive}", url], env)
        lines = run([borg(), "list", "--format", "{size} {path}{NL}", f"{url}::{newest}"], env).splitlines()
        sizes = {path.rpartition("/")[2]: int(size) for size, _, path in (line.partition(" ") for line in lines)}
        _see({name: sizes.get(name, 0) for name in least}, least, self.name)


@dataclass
class ByHand:
    """``pg_dump | borg create`` for each database, as one would type it. The repository is made apart."""

    world: World
    compression: str

    @property
    def name(self) -> str:
        """Told apart by the compression."""
        return f"pg_dump | borg create {self.compression}"

    @property
    def _directory(self) -> str:
        return slug(f"by-hand {self.compression}")

    def fresh(self) -> float:
        """``borg init``, timed."""
        self.world.forget(self._directory)
        argv = [borg(), "init", "--encryption", _ENCRYPTION, self.world.box.url(self._directory)]
        program = Program(argv, _borg_environment(self.world, self._directory))
        return self.world.meter.run([(program,)], self.world.directory).seconds

    def backup(self) -> Measured:
        """One database after the other."""
        return self.world.meter.run([self._pipeline(database) for database in DATABASES], self.world.directory)

    def _pipeline(self, database: str) -> Pipeline:
        env = _borg_environment(self.world, self._directory)
        archive = f"{self.world.box.url(self._directory)}::{database}"
        dump = Program([self.world.client("pg_dump"), "-Fc", "-Z0", database], {**env, **self.world.libpq()})
        return dump, Program([borg(), "create", "--compression", self.compression, archive, "-"], env)

    def check(self, least: dict[str, int]) -> None:
        """The exit statuses have said it."""


@dataclass
class DumpAlone:
    """``pg_dump`` of each database to nowhere: what no backup can be quicker than, one after the other."""

    world: World
    name: str = "pg_dump > /dev/null"

    def fresh(self) -> float:
        """It keeps nothing."""
        return 0.0

    def backup(self) -> Measured:
        """One database after the other."""
        env = {**self.world.environment("by-hand"), **self.world.libpq()}
        argv = [self.world.client("pg_dump"), "-Fc", "-Z0"]
        jobs = [(Program([*argv, database], env, discard=True),) for database in DATABASES]
        return self.world.meter.run(jobs, self.world.directory)

    def check(self, least: dict[str, int]) -> None:
        """There is nothing to look at."""


def _borg_environment(world: World, name: str) -> dict[str, str]:
    return {**world.environment(name), "BORG_PASSPHRASE": PASSPHRASE, "BORG_RSH": world.remote_shell()}


def _see(sizes: dict[str, int], least: dict[str, int], tool: str) -> None:
    wrong = [name for name, size in least.items() if sizes[name] < size * _WHOLE]
    if wrong:
        raise DrkitError(f"{tool}: the backup lacks {', '.join(wrong)}, or holds less of it than a dump has")


def venv() -> Path:
    """The virtual environment that borgmatic is in."""
    return ROOT / "build" / "bench-venv"


def install_borgmatic() -> None:
    """Make that environment, unless it holds the right version already."""
    python = venv() / "bin" / "python"
    ask = "from importlib.metadata import version; print(version('borgmatic'))"
    if python.exists():
        done = subprocess.run([str(python), "-c", ask], check=False, capture_output=True, text=True)
        if done.stdout.strip() == BORGMATIC:
            return
    print(f"installing borgmatic {BORGMATIC} into build/{venv().name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv())], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"borgmatic=={BORGMATIC}"], check=True)
