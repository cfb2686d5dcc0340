"""One database as one consistent stream: pg_dump in a snapshot that drkit holds, and counts in, itself."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import SourceFailed, StartAgain
from drkit.postgres import catalog, proof, properties
from drkit.postgres.session import LOCK_NOT_AVAILABLE, UNDEFINED_TABLE, StatementFailed

if TYPE_CHECKING:
    from drkit.postgres.access import Access, Producer
    from drkit.postgres.session import OwnSession

_LOCK_SECONDS = 10
_TABLES_IN_A_LOCK = 500


class TablesBusy(StartAgain):
    """Another session waits to change a table between our lock and pg_dump's; a new snapshot resolves it."""


@dataclass(frozen=True)
class Facts:
    """What a dump's descriptor entry says beside the bytes."""

    proof: proof.Proof
    versions: dict[str, Any]
    roles: list[str]
    encoding: str
    disk_bytes: int
    properties: properties.Properties
    session: dict[str, str]
    """Settings of pg_dump's session that show in a dump's text."""
    clock_offset_seconds: float
    server_identity: str


@dataclass
class DatabaseDump:
    """A running dump of one database; a ``Stream`` for the vault. Made by ``start``; always ``close`` it."""

    access: Access
    server: catalog.Server
    content: bool
    _session: OwnSession
    _settings: dict[str, str]
    _producer: Producer | None = None
    _cleanup: ExitStack = field(default_factory=ExitStack)
    _counter: threading.Thread | None = None
    _proof: proof.Proof = field(default_factory=dict)
    _roles: list[str] = field(default_factory=list)
    _properties: properties.Properties = field(default_factory=dict)
    _count_error: Exception | None = None

    def fileno(self) -> int:
        """The dump's bytes."""
        assert self._producer is not None  # noqa: S101 - started by start()
        return self._producer.fileno()

    def finish(self) -> None:
        """See that pg_dump ended well and that the counts are there."""
        assert self._producer is not None  # noqa: S101 - started by start()
        try:
            self._producer.finish()
        except SourceFailed as error:
            raise self._judged(error) from None
        assert self._counter is not None  # noqa: S101 - started by start()
        self._counter.join()
        if self._count_error is not None:
            raise SourceFailed(f"{self.access.shown}: counting rows failed: {self._count_error}") from self._count_error

    def facts(self) -> Facts:
        """What to put into the descriptor; valid after ``finish``."""
        return Facts(
            proof=self._proof,
            versions={"postgresql": self.server.version, "extensions": self.server.extensions},
            roles=self._roles,
            encoding=self.server.encoding,
            disk_bytes=self.server.disk_bytes,
            properties=self._properties,
            session=self._settings,
            clock_offset_seconds=self.server.clock_offset_seconds,
            server_identity=self.server.identity or self.access.address,
        )

    def cut(self) -> None:
        """Let it fail now, where the server has gone without a word. Safe from another thread."""
        self._session.cancel()
        if self._producer is not None:
            self._producer.cut()

    def close(self) -> None:
        """End what still runs and leave nothing behind, whatever happened."""
        self._cleanup.close()
        self._session.cancel()
        if self._counter is not None:
            self._counter.join()
        self._session.close()

    def _begin(self) -> None:
        """Take a snapshot, keep every table from being dropped in it, and start pg_dump on it."""
        self._session.execute("begin isolation level repeatable read, read only")
        row = self._session.execute("select pg_catalog.pg_export_snapshot()").fetchone()
        assert row is not None  # noqa: S101 - a function call has one row
        self._proof = proof.take_sequences(self._session)
        self._roles = catalog.roles(self._session)
        self._properties = properties.read(self._session)
        self._lock(catalog.tables(self._session))
        arguments = [f"--snapshot={row[0]}", f"--lock-wait-timeout={_LOCK_SECONDS * 1000}", "--no-password"]
        try:
            self._producer = self._cleanup.enter_context(self.access.dump(self.server.major, arguments))
        except SourceFailed as error:
            raise self._judged(error) from None
        self._counter = threading.Thread(target=self._count, name=f"count {self.access.shown}", daemon=True)
        self._counter.start()

    def _lock(self, names: list[str]) -> None:
        """ACCESS SHARE, as pg_dump takes it: held until the rows are counted, so that a DROP waits for us."""
        self._session.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'")
        for begin in range(0, len(names), _TABLES_IN_A_LOCK):
            some = ", ".join(f"only {name}" for name in names[begin : begin + _TABLES_IN_A_LOCK])
            self._session.execute(f"lock table {some} in access share mode")
        self._session.execute("set local lock_timeout = 0")

    def _count(self) -> None:
        try:
            self._proof = {**self._proof, **proof.take(self._session, content=self.content)}
        except Exception as error:  # noqa: BLE001 - carried to finish(), which raises it in the thread that can act on it
            self._count_error = error

    def _judged(self, error: SourceFailed) -> SourceFailed:
        if "LOCK TABLE" in error.message and "timeout" in error.message:
            return TablesBusy(f"{self.access.shown}: tables stayed locked by others\n{error.message}")
        return error


def start(access: Access, *, content: bool) -> DatabaseDump:
    """Start dumping a database.

    Args:
        access: how it is reached.
        content: whether the proof shall hold a checksum for each table.

    Raises:
        TablesBusy: as it says; worth another attempt.
        SourceFailed: the database cannot be reached or dumped.
        PreflightFailed: there is no pg_dump that fits.
    """
    session = access.connect()
    dump: DatabaseDump | None = None
    try:
        settings = catalog.session(session)
        proof.settle(session)
        server = catalog.describe(session, time.time())
        dump = DatabaseDump(access, server, content, session, settings)
        dump._begin()  # noqa: SLF001 - this function is its constructor
    except BaseException as error:
        if dump is not None:
            dump.close()
        else:
            session.close()
        if isinstance(error, StatementFailed):
            busy = error.sqlstate in (LOCK_NOT_AVAILABLE, UNDEFINED_TABLE)
            raise (TablesBusy if busy else SourceFailed)(f"{access.shown}: {process.tail(str(error))}") from None
        raise
    return dump
