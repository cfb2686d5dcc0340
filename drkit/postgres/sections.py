"""A custom-format dump into an empty database in three sections, as pg_restore has them, each as fast as it goes.

Definitions first, then the rows through several sessions, then indexes, constraints and privileges through
``pg_restore --jobs``. That takes more than one transaction: what comes of a restore that is cut short is thrown away
by ``drkit.restore.aside``.

The archive passes once. Definitions of every section stand at its head, before any rows; the head is kept, in memory,
for the last section.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import RestoreFailed
from drkit.postgres.dealing import Dealer, Session
from drkit.postgres.load import DEADLINE, arguments, session
from drkit.sink import Sink
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.postgres.connection import Dsn

_BLOCK = 256 * 1024
"""Small enough that the allocator reuses the memory: with 1 MiB each block costs a page fault for every page."""
_PRIVILEGES = re.compile(r"^\d+; \d+ \d+ (DEFAULT )?ACL ")
"""Entries of ``pg_restore --list`` that give or take rights."""
_LIST_SECONDS = 600.0


class SectionLoad:
    """Takes an archive in blocks; ``finish`` says that the database is whole."""

    def __init__(self, program: Sequence[str], dsn: Dsn, sessions: int) -> None:
        self._program, self._dsn, self._jobs = program, dsn, sessions
        self._cleanup = ExitStack()
        self._head: list[bytes] = []
        self._definitions: Sink | None = self._restoring(["--section=pre-data", "--no-privileges"])
        self._rows: Sink | None = None
        self._dealer: Dealer | None = None
        self._dealing: threading.Thread | None = None
        self._error: Exception | None = None

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            RestoreFailed: the server or pg_restore refused something.
        """
        if self._definitions is not None:
            self._head.append(block)
            if not self._definitions.offer(block):
                self._begin_rows()
            return
        self._write_rows(block)

    def finish(self) -> None:
        """Load what remains, and see that everything ended well.

        Raises:
            RestoreFailed: it did not.
        """
        if self._definitions is not None:  # all of the archive was taken before its definitions were made
            self._definitions.finish()
            self._begin_rows()
        assert self._rows is not None  # noqa: S101 - begun above, or before
        assert self._dealing is not None  # noqa: S101 - begun with the rows
        assert self._dealer is not None  # noqa: S101 - begun with the rows
        self._rows.finish()
        self._dealing.join()
        self._see_error()
        self._dealer.end()
        self._rest()

    def stop(self) -> None:
        """End it in any case."""
        self._cleanup.close()

    def _restoring(self, extra: Sequence[str]) -> Sink:
        with session(self._dsn) as (env, descriptors):
            sink = Sink(arguments(self._program, self._dsn, extra), env, descriptors)
        self._cleanup.callback(sink.stop)
        return sink

    def _begin_rows(self) -> None:
        """From here on the blocks are rows; those that came with the definitions go first."""
        self._definitions = None
        self._cleanup.callback(self._join)
        sessions = []
        for _ in range(self._jobs):
            session = Session(self._dsn.connect())
            self._cleanup.callback(session.stop)
            sessions.append(session)
        self._dealer = Dealer(sessions)
        self._rows = Sink([*self._program, "--section=data", "--file=-"], process.clean_environment(), output=True)
        self._cleanup.callback(self._rows.stop)
        self._dealing = threading.Thread(target=self._deal, args=(self._rows, self._dealer), daemon=True)
        self._dealing.start()
        for block in self._head:
            self._write_rows(block)

    def _join(self) -> None:
        if self._dealing is not None:
            self._dealing.join()

    def _write_rows(self, block: bytes) -> None:
        assert self._rows is not None  # noqa: S101 - the caller began them
        self._see_error()
        try:
            self._rows.write(block)
        except RestoreFailed:
            self._see_error()  # what made it end counts for more
            raise

    def _deal(self, rows: Sink, dealer: Dealer) -> None:
        try:
            with rows.output() as script:
                while block := os.read(script.fileno(), _BLOCK):
                    dealer.feed(block)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that feeds
            self._error = error
            rows.child.terminate()  # or it would wait for ever to be read

    def _see_error(self) -> None:
        if isinstance(self._error, RestoreFailed):
            raise self._error
        if self._error is not None:
            raise RestoreFailed(f"loading failed: {self._error!r}") from self._error

    def _rest(self) -> None:
        """Indexes, constraints, triggers and privileges; pg_restore keeps to their order, several at a time."""
        with _in_memory(b"".join(self._head)) as (head, head_path):
            self._head.clear()
            wanted = [
                *self._listed(["--section=post-data", "--no-privileges"], head, head_path),
                *filter(_PRIVILEGES.match, self._listed([], head, head_path)),
            ]
            if not wanted:
                return
            with (
                _in_memory("\n".join(wanted).encode()) as (chosen, chosen_path),
                session(self._dsn) as (
                    env,
                    descriptors,
                ),
            ):
                extra = [f"--jobs={self._jobs}", f"--use-list={chosen_path}", head_path]
                done = process.run(
                    arguments(self._program, self._dsn, extra),
                    deadline=DEADLINE,
                    env=env,
                    pass_fds=(*descriptors, head, chosen),
                )
        if done.status != 0:
            raise RestoreFailed(f"pg_restore ended with status {done.status}\n{process.tail(done.stderr)}")

    def _listed(self, extra: Sequence[str], head: int, head_path: str) -> list[str]:
        done = process.run(
            [*self._program, "--list", *extra, head_path],
            deadline=_LIST_SECONDS,
            env=process.clean_environment(),
            pass_fds=[head],
        )
        if done.status != 0:
            raise RestoreFailed(f"pg_restore --list ended with status {done.status}\n{process.tail(done.stderr)}")
        return [line for line in done.stdout.decode(errors="replace").splitlines() if line[:1].isdigit()]


@contextmanager
def loader(program: Sequence[str], dsn: Dsn, sessions: int) -> Iterator[SectionLoad]:
    """A load into ``dsn``, which is empty and which nobody else uses, through so many sessions at a time."""
    load = SectionLoad(program, dsn, sessions)
    try:
        yield load
    finally:
        load.stop()


@contextmanager
def _in_memory(content: bytes) -> Iterator[tuple[int, str]]:
    """A file that is on no disk: its descriptor, and the path by which a child that inherits it opens it."""
    memory = os.memfd_create("drkit")
    try:
        gate.write_all(memory, memoryview(content))
        yield memory, f"/proc/self/fd/{memory}"
    finally:
        os.close(memory)
