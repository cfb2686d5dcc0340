"""A dump back into a database: pg_restore in one transaction, so that a restore that is cut short leaves nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import RestoreFailed
from drkit.postgres.connection import libpq_environment
from drkit.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from drkit.postgres.connection import Dsn

DEADLINE = 24 * 3600.0

SESSION_OPTIONS = "-c max_parallel_maintenance_workers=2 -c statement_timeout=0 -c lock_timeout=0"
"""For the sessions of a restore alone."""


def arguments(program: Sequence[str], database: str, extra: Sequence[str] = ()) -> list[str]:
    """pg_restore's arguments. The connection is in the environment; its name alone is said, so that it connects."""
    name = database.replace("\\", "\\\\").replace("'", "\\'")
    return [*program, "--exit-on-error", "--no-password", f"--dbname=dbname='{name}'", *extra]


@contextmanager
def session(dsn: Dsn) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Environment and descriptors for pg_restore's connections to ``dsn``, with the settings of a restore."""
    with libpq_environment(dsn) as (env, descriptors):
        yield {**env, "PGOPTIONS": f"{env.get('PGOPTIONS', '')} {SESSION_OPTIONS}".strip()}, descriptors


@contextmanager
def loader(program: Sequence[str], dsn: Dsn) -> Iterator[Sink]:
    """pg_restore reading a custom-format dump from its stdin into ``dsn``, all or nothing."""
    with session(dsn) as (env, descriptors):
        sink = Sink(arguments(program, dsn.database, ["--single-transaction"]), env, descriptors)
    try:
        yield sink
    finally:
        sink.stop()


@contextmanager
def to_script(program: Sequence[str], env: dict[str, str]) -> Iterator[Sink]:
    """pg_restore turning a custom-format dump on its stdin into a data script on its stdout."""
    sink = Sink([*program, "--data-only", "--file=-"], env, output=True)
    try:
        yield sink
    finally:
        sink.stop()


def directory(program: Sequence[str], dsn: Dsn, dump: Path, how: str = "--single-transaction") -> None:
    """Load an unpacked directory dump: all or nothing, unless ``how`` says ``--jobs=…``.

    Raises:
        RestoreFailed: pg_restore did not end well.
    """
    with libpq_environment(dsn) as (env, descriptors):
        argv = arguments(program, dsn.database, [how, "--format=directory", str(dump)])
        done = process.run(argv, deadline=DEADLINE, env=env, pass_fds=descriptors)
    if done.status != 0:
        raise RestoreFailed(f"pg_restore ended with status {done.status}\n{process.tail(done.stderr)}")
