"""Deep verification of one database: restored into a scratch server, and compared with the archive table by table."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import DrkitError, PreflightFailed, RestoreFailed, VerificationFailed
from drkit.postgres import load, proof, script
from drkit.postgres.access import CUSTOM, DIRECTORY
from drkit.postgres.connection import libpq_environment
from drkit.restore.directory import unpacked
from drkit.restore.stream import feed
from drkit.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

    import psycopg

    from drkit.observe.progress import Task
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.scratch.server import Scratch
    from drkit.vault.port import Vault

_BLOCK = 256 * 1024


def database(vault: Vault, source: SourceEntry, scratch: Scratch, task: Task) -> list[str]:
    """Restore ``source`` into a new database of ``scratch`` and compare.

    Returns:
        What is not as it should be, as sentences; empty where everything is.

    Raises:
        PreflightFailed: the scratch server lacks an extension, or a program is missing.
        VerificationFailed: the archive is not what was sealed, or cannot be restored.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    name = f"verify_{source.archive_id[:16]}"
    target = scratch.dsn(name)
    with scratch.dsn("postgres").connect() as server:
        _see_extensions(server, source)
        _make_roles(server, source.details["roles"])
        encoding = source.details["encoding"]
        server.execute(f"create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'")
    try:
        pg_restore = scratch.client("pg_restore")
        try:
            archived = _load(vault, source, pg_restore, scratch, name, task)
        except RestoreFailed as error:
            raise VerificationFailed(f"{source.name} cannot be restored: {error.message}", error.hint) from None
        with target.connect() as connection:
            proof.settle(connection)
            content = any("checksum" in table for table in source.details["proof"]["tables"].values())
            found = {**proof.take(connection, content=content), **proof.take_sequences(connection)}
        wrong = proof.differences(source.details["proof"], found)
        restored = _server_script(scratch, source, name, scratch.client("pg_dump"))
        return wrong + script.differences(archived, restored)
    finally:
        with scratch.dsn("postgres").connect() as server:
            try:
                server.execute(f"drop database if exists {name} with (force)")
            except psycopg.Error:
                server.execute(f"drop database if exists {name}")


def _see_extensions(server: psycopg.Connection[tuple[Any, ...]], source: SourceEntry) -> None:
    available = {str(name) for (name,) in server.execute("select name from pg_catalog.pg_available_extensions")}
    missing = sorted(set(source.details["versions"]["extensions"]) - available)
    if missing:
        raise PreflightFailed(
            f"{source.name}: the scratch PostgreSQL lacks the extensions {', '.join(missing)}",
            "install their packages for this version; for a container, name an image in postgresql.scratch_image",
        )


def _make_roles(server: psycopg.Connection[tuple[Any, ...]], wanted: Iterable[str]) -> None:
    """Roles own things and are granted things: those of the original server, without the right to log in.

    Superusers all of them, as some were there: refreshing a materialized view takes its owner's rights.
    """
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    there = {str(name) for (name,) in server.execute("select rolname from pg_catalog.pg_roles")}
    for role in sorted(set(wanted) - there):
        server.execute(sql.SQL("create role {} superuser nologin").format(sql.Identifier(role)))


class _Digesting:
    """Reads a program's data script in a thread and digests it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digester = script.ScriptDigester()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while block := self._stream.read(_BLOCK):
                self._digester.feed(block)
        except Exception as error:  # noqa: BLE001 - carried to result(), which raises it where it can be acted on
            self._error = error

    def result(self) -> dict[str, script.Digest]:
        self._thread.join()
        if self._error is not None:
            raise DrkitError(f"a data script could not be read: {self._error!r}") from self._error
        return self._digester.result()


def _load(
    vault: Vault, source: SourceEntry, pg_restore: Sequence[str], scratch: Scratch, name: str, task: Task
) -> dict[str, script.Digest]:
    """Load the archive into the scratch database and digest its data script, in one pass over the vault."""
    dump_format = source.details["dump_format"]
    target = scratch.dsn(name)
    if dump_format == CUSTOM:
        with ExitStack() as sinks:
            loading = sinks.enter_context(load.loader(pg_restore, target))
            writing = sinks.enter_context(load.to_script(pg_restore, process.clean_environment()))
            assert writing.child.stdout is not None  # noqa: S101 - asked for
            digesting = _Digesting(writing.child.stdout)

            def write(block: bytes) -> None:
                loading.write(block)
                writing.write(block)

            feed(vault, source, write, task)
            writing.finish()
            archived = digesting.result()
            loading.finish()
        return archived
    if dump_format != DIRECTORY:
        raise VerificationFailed(f"{source.name}: unknown dump format {dump_format}")
    with unpacked(vault, source, scratch.directory, task) as dump:
        # Who reads it may be the server's user; the directory around it is private.
        process.run(["chmod", "--recursive", "a+rX", str(dump.parent)], deadline=load.DEADLINE)
        load.directory(pg_restore, target, dump)
        return _digest(
            [*pg_restore, "--data-only", "--file=-", "--format=directory", str(dump)], process.clean_environment()
        )


def _server_script(
    scratch: Scratch, source: SourceEntry, name: str, pg_dump: Sequence[str]
) -> dict[str, script.Digest]:
    """The restored database's data, written under the settings under which the archive was."""
    with libpq_environment(scratch.dsn(name)) as (env, _):
        session: dict[str, str] = source.details["session"]
        env["PGOPTIONS"] = " ".join(f"-c {name}={value}" for name, value in session.items())
        return _digest([*pg_dump, "--data-only", "--format=plain", "--no-password"], env)


def _digest(argv: list[str], env: dict[str, str]) -> dict[str, script.Digest]:
    sink = Sink(argv, env, output=True)
    try:
        assert sink.child.stdout is not None  # noqa: S101 - asked for
        digesting = _Digesting(sink.child.stdout)
        found = digesting.result()
        sink.finish()
    finally:
        sink.stop()
    return found
