"""Where a database is dumped: the one who counts in it, and the program that dumps it, in one snapshot.

A database that is reached by its connection string can be restored the same way: ``drkit.postgres.destination``.
A server is reached over the network by a connection string (``ByDsn``), or from inside its own pod
(``drkit.cluster.server.InPod``).
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from drkit import process
from drkit.errors import SourceFailed
from drkit.postgres import dealt, load, programs, sections
from drkit.postgres.connection import libpq_environment
from drkit.postgres.session import StatementFailed
from drkit.workspace import workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import psycopg

    from drkit.errors import DrkitError
    from drkit.postgres.connection import Dsn
    from drkit.postgres.session import OwnSession, Rows
    from drkit.sink import Sink

CUSTOM = "pg_dump-custom"
DIRECTORY = "pg_dump-directory-tar"
_JOBS = 2


class Producer(Protocol):
    """A program whose output is a dump."""

    def fileno(self) -> int:
        """Its output."""
        ...

    def cut(self) -> None:
        """End it: whoever reads its output comes to the end of it. Safe from another thread."""
        ...

    def finish(self) -> None:
        """See that it ended well. Raises ``SourceFailed`` with its last words where it did not."""
        ...


class Access(Protocol):
    """A database, and how it is reached."""

    @property
    def shown(self) -> str:
        """For messages."""
        ...

    @property
    def address(self) -> str:
        """Tells two servers apart where nothing better does."""
        ...

    @property
    def dump_format(self) -> str:
        """What ``dump`` writes: ``CUSTOM`` or ``DIRECTORY``."""
        ...

    def connect(self) -> OwnSession:
        """A new session. Raises ``SourceFailed``."""
        ...

    def dump(self, major: int, arguments: Sequence[str]) -> AbstractContextManager[Producer]:
        """Start pg_dump with these arguments beside what the format takes; leaving the body ends it.

        Raises:
            SourceFailed: it cannot be started, or failed already.
            PreflightFailed: there is no pg_dump for a server of this major version.
        """
        ...


class PsycopgSession:
    """A session over libpq."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, query: str, /) -> Rows:
        """Run one statement to its end."""
        import psycopg  # noqa: PLC0415 - see Dsn.connect

        try:
            return self._connection.execute(query)
        except psycopg.Error as error:
            raise StatementFailed(process.tail(str(error)), error.sqlstate or "") from None

    def cancel(self) -> None:
        """End the statement that runs."""
        with suppress(Exception):  # it has ended, or the connection has: nothing is left to be ended
            self._connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """End the session."""
        self._connection.close()


@dataclass(frozen=True)
class ByDsn:
    """A database by its connection string, to be dumped or restored; the programs are this machine's."""

    dsn: Dsn
    staging: Path | None
    """A directory for a parallel dump; left out, nothing touches the disk."""
    bin_dirs: tuple[Path, ...]

    @property
    def shown(self) -> str:
        """For messages."""
        return self.dsn.shown

    @property
    def address(self) -> str:
        """Its host and port."""
        parameters = self.dsn.parameters
        return f"{parameters.get('host') or parameters.get('hostaddr') or ''}:{parameters.get('port', '5432')}"

    @property
    def dump_format(self) -> str:
        """A stream, or by way of the disk."""
        return CUSTOM if self.staging is None else DIRECTORY

    def connect(self) -> PsycopgSession:
        """A new session."""
        import psycopg  # noqa: PLC0415 - see Dsn.connect

        try:
            return PsycopgSession(self.dsn.connect())
        except psycopg.Error as error:
            raise SourceFailed(
                f"{self.shown}: {process.tail(str(error))}", "check the dsn, then: drkit check"
            ) from None

    @contextmanager
    def dump(self, major: int, arguments: Sequence[str]) -> Iterator[LocalProgram]:
        """Start pg_dump."""
        program = programs.client("pg_dump", major, self.bin_dirs)
        with ExitStack() as stack:
            if self.staging is None:
                running = self._spawn([program, "--format=custom", "--compress=0", *arguments])
            else:
                dump = stack.enter_context(workspace(self.staging)) / "dump"
                running = self._stage(program, dump, arguments)
            stack.callback(process.stop, running)
            yield LocalProgram(running, self.shown, Path(program).name)

    @property
    def database(self) -> str:
        """Its name."""
        return self.dsn.database

    @property
    def application(self) -> str:
        """What its sessions are called."""
        return self.dsn.application

    @property
    def doors(self) -> tuple[str, ...]:
        """Itself, where it is there, and what every server has."""
        return (self.database, "postgres", "template1")

    def server(self) -> ByDsn:
        """The server: whatever answers there."""
        return self

    def of(self, database: str) -> ByDsn:
        """The same server, another database."""
        return replace(self, dsn=self.dsn.with_database(database))

    def check(self, major: int, dump_format: str, disk_bytes: int | None) -> None:  # noqa: ARG002 - any format; its disk is out of sight
        """See that pg_restore is here."""
        self._pg_restore(major)

    def whole(self, major: int, size: int) -> AbstractContextManager[Sink]:  # noqa: ARG002 - the stream has an end
        """A load in one transaction."""
        return load.loader(self._pg_restore(major), self.dsn)

    def sections(self, major: int, size: int, jobs: int) -> AbstractContextManager[sections.SectionLoad]:  # noqa: ARG002 - as above
        """A load in sections, through so many sessions."""
        return sections.loader(dealt.ByConnection(self._pg_restore(major), self.dsn, jobs))

    def unpacked(self, major: int, dump: Path, how: str) -> None:
        """Load a directory dump."""
        load.directory(self._pg_restore(major), self.dsn, dump, how)

    def left(self, error: DrkitError) -> bool:  # noqa: ARG002 - see below
        """A connection string does not say who is behind it."""
        return False

    def _pg_restore(self, major: int) -> list[str]:
        return [programs.client("pg_restore", major, self.bin_dirs)]

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        with libpq_environment(self.dsn) as (env, descriptors):
            return process.spawn(argv, env=env, pass_fds=descriptors)

    def _stage(self, program: str, dump: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """A parallel directory dump, whole on disk before the vault sees a byte of it; then streamed as a tar."""
        argv = [program, "--format=directory", f"--jobs={_JOBS}", "--compress=0", f"--file={dump}", *arguments]
        dumping = self._spawn(argv)
        try:
            LocalProgram(dumping, self.shown, Path(program).name).finish()
        finally:
            process.stop(dumping)
        # The same dump gives the same bytes, so that an unchanged database is deduplicated.
        tar = ["tar", "--create", "--file=-", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
        return process.spawn([*tar, f"--directory={dump}", "."], env=process.clean_environment())


class LocalProgram:
    """A program of this machine whose output is a dump."""

    def __init__(self, child: subprocess.Popen[bytes], shown: str, name: str) -> None:
        self._child, self._shown, self._name = child, shown, name
        assert child.stderr is not None  # noqa: S101 - spawn's default is a pipe
        self._last_words = process.TailReader(child.stderr)

    def fileno(self) -> int:
        """Its output."""
        assert self._child.stdout is not None  # noqa: S101 - spawn's default is a pipe
        return self._child.stdout.fileno()

    def cut(self) -> None:
        """End it."""
        self._child.kill()

    def finish(self) -> None:
        """See that it ended well."""
        status = self._child.wait()
        if status != 0:
            what = "was killed" if status < 0 else f"ended with status {status}"
            raise SourceFailed(f"{self._shown}: {self._name} {what}\n{process.tail(self._last_words.text())}")
