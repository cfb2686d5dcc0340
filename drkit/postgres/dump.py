"""One database as one consistent stream: pg_dump in a snapshot that drkit holds, and counts in, itself."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import SourceFailed
from drkit.postgres import catalog, programs, proof, properties
from drkit.postgres.connection import libpq_environment
from drkit.workspace import workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

    import psycopg

    from drkit.postgres.connection import Dsn

CUSTOM = "pg_dump-custom"
DIRECTORY = "pg_dump-directory-tar"
_LOCK_SECONDS = 10
_TABLES_IN_A_LOCK = 500
_JOBS = 2


class TablesBusy(SourceFailed):
    """Another session waits to change a table between our lock and pg_dump's; a new snapshot resolves it."""


@dataclass(frozen=True)
class Facts:
    """What a dump's descriptor entry says beside the bytes."""

    proof: proof.Proof
    versions: dict[str, Any]
    roles: list[str]
    encoding: str
    properties: properties.Properties
    session: dict[str, str]
    """Settings of pg_dump's session that show in a dump's text."""
    clock_offset_seconds: float
    server_identity: str


@dataclass
class DatabaseDump:
    """A running dump of one database; a ``Stream`` for the vault. Made by ``start``; always ``close`` it."""

    dsn: Dsn
    server: catalog.Server
    program: str
    content: bool
    staging: Path | None
    _connection: psycopg.Connection[tuple[Any, ...]]
    _producer: subprocess.Popen[bytes] | None = None
    _last_words: process.TailReader | None = None
    _cleanup: ExitStack = field(default_factory=ExitStack)
    _counter: threading.Thread | None = None
    _proof: proof.Proof = field(default_factory=dict)
    _roles: list[str] = field(default_factory=list)
    _properties: properties.Properties = field(default_factory=dict)
    _session: dict[str, str] = field(default_factory=dict)
    _count_error: Exception | None = None

    @property
    def dump_format(self) -> str:
        """How the stream is to be read again."""
        return CUSTOM if self.staging is None else DIRECTORY

    def fileno(self) -> int:
        """The dump's bytes."""
        assert self._producer is not None  # noqa: S101 - started by start()
        assert self._producer.stdout is not None  # noqa: S101 - spawn's default is a pipe
        return self._producer.stdout.fileno()

    def finish(self) -> None:
        """See that pg_dump ended well and that the counts are there."""
        assert self._producer is not None  # noqa: S101 - started by start()
        assert self._last_words is not None  # noqa: S101 - started by start()
        status = self._producer.wait()
        if status != 0:
            raise self._failed(status, self._last_words.text())
        assert self._counter is not None  # noqa: S101 - started by start()
        self._counter.join()
        if self._count_error is not None:
            raise SourceFailed(f"{self.dsn.shown}: counting rows failed: {self._count_error}") from self._count_error

    def facts(self) -> Facts:
        """What to put into the descriptor; valid after ``finish``."""
        return Facts(
            proof=self._proof,
            versions={"postgresql": self.server.version, "extensions": self.server.extensions},
            roles=self._roles,
            encoding=self.server.encoding,
            properties=self._properties,
            session=self._session,
            clock_offset_seconds=self.server.clock_offset_seconds,
            server_identity=self.server.identity,
        )

    def close(self) -> None:
        """End what still runs and leave nothing behind, whatever happened."""
        if self._producer is not None:
            process.stop(self._producer)
        with suppress(Exception):
            self._connection.cancel_safe(timeout=5)
        if self._counter is not None:
            self._counter.join()
        self._connection.close()
        self._cleanup.close()

    def _begin(self) -> None:
        """Take a snapshot, keep every table from being dropped in it, and start pg_dump on it."""
        self._connection.execute("begin isolation level repeatable read, read only")
        row = self._connection.execute("select pg_catalog.pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a function call has one row
        self._proof = proof.take_sequences(self._connection)
        self._roles = catalog.roles(self._connection)
        self._properties = properties.read(self._connection)
        self._lock(catalog.tables(self._connection))
        arguments = [f"--snapshot={row[0]}", f"--lock-wait-timeout={_LOCK_SECONDS * 1000}", "--no-password"]
        if self.staging is None:
            producer = self._spawn([self.program, "--format=custom", "--compress=0", *arguments])
        else:
            producer = self._stage(self.staging, arguments)
        self._producer = producer
        assert producer.stderr is not None  # noqa: S101 - spawn's default is a pipe
        self._last_words = process.TailReader(producer.stderr)
        self._counter = threading.Thread(target=self._count, name=f"count {self.dsn.database}", daemon=True)
        self._counter.start()

    def _lock(self, names: list[str]) -> None:
        """ACCESS SHARE, as pg_dump takes it: held until the rows are counted, so that a DROP waits for us."""
        self._connection.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'")
        for begin in range(0, len(names), _TABLES_IN_A_LOCK):
            some = ", ".join(f"only {name}" for name in names[begin : begin + _TABLES_IN_A_LOCK])
            self._connection.execute(f"lock table {some} in access share mode")
        self._connection.execute("set local lock_timeout = 0")

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        with libpq_environment(self.dsn) as (env, descriptors):
            return process.spawn(argv, env=env, pass_fds=descriptors)

    def _stage(self, staging: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
        """A parallel directory dump, whole on disk before the vault sees a byte of it; then streamed as a tar."""
        dump = self._cleanup.enter_context(workspace(staging)) / "dump"
        argv = [self.program, "--format=directory", f"--jobs={_JOBS}", "--compress=0", f"--file={dump}", *arguments]
        producer = self._spawn(argv)
        assert producer.stderr is not None  # noqa: S101 - spawn's default is a pipe
        words = process.TailReader(producer.stderr)
        status = producer.wait()
        process.stop(producer)
        if status != 0:
            raise self._failed(status, words.text())
        # The same dump gives the same bytes, so that an unchanged database is deduplicated.
        tar = ["tar", "--create", "--file=-", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
        return process.spawn([*tar, f"--directory={dump}", "."], env=process.clean_environment())

    def _count(self) -> None:
        try:
            self._proof = {**self._proof, **proof.take(self._connection, content=self.content)}
        except Exception as error:  # noqa: BLE001 - carried to finish(), which raises it in the thread that can act on it
            self._count_error = error

    def _failed(self, status: int, said: str) -> SourceFailed:
        if "LOCK TABLE" in said and "timeout" in said:
            return TablesBusy(f"{self.dsn.shown}: tables stayed locked by others\n{process.tail(said)}")
        what = "was killed" if status < 0 else f"ended with status {status}"
        return SourceFailed(f"{self.dsn.shown}: {Path(self.program).name} {what}\n{process.tail(said)}")


def start(dsn: Dsn, *, content: bool, staging: Path | None, bin_dirs: Iterable[Path]) -> DatabaseDump:
    """Start dumping ``dsn``.

    Args:
        dsn: the database.
        content: whether the proof shall hold a checksum for each table.
        staging: a directory for a parallel dump; left out, nothing touches the disk.
        bin_dirs: where else PostgreSQL's programs may be.

    Raises:
        TablesBusy: as it says; worth another attempt.
        SourceFailed: the database cannot be reached or dumped.
        PreflightFailed: there is no pg_dump that fits.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    try:
        connection = dsn.connect()
    except psycopg.Error as error:
        raise SourceFailed(f"{dsn.shown}: {process.tail(str(error))}", "check the dsn, then: drkit check") from None
    dump: DatabaseDump | None = None
    try:
        session = catalog.session(connection)
        proof.settle(connection)
        server = catalog.describe(connection, time.time())
        program = programs.client("pg_dump", server.major, bin_dirs)
        dump = DatabaseDump(dsn, server, program, content, staging, connection, _session=session)
        dump._begin()  # noqa: SLF001 - this function is its constructor
    except BaseException as error:
        if dump is not None:
            dump.close()
        connection.close()
        if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.UndefinedTable):
            raise TablesBusy(f"{dsn.shown}: {process.tail(str(error))}") from None
        if isinstance(error, psycopg.Error):
            raise SourceFailed(f"{dsn.shown}: {process.tail(str(error))}") from None
        raise
    return dump
