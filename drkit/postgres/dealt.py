"""A dump's sections by this machine's pg_restore, the rows dealt to several sessions (``drkit.postgres.dealing``)."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import RestoreFailed
from drkit.postgres.dealing import Dealer, Session
from drkit.postgres.load import DEADLINE, arguments, session
from drkit.postgres.sections import DEFINITIONS, LATER, ROWS, remaining
from drkit.sink import Sink
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.postgres.connection import Dsn

_BLOCK = 256 * 1024
"""Small enough that the allocator reuses the memory: with 1 MiB each block costs a page fault for every page."""
_LIST_SECONDS = 600.0


class ByConnection:
    """The ``Sections`` of a database by its connection string.

    Args:
        program: pg_restore.
        dsn: the database.
        jobs: how many sessions load at a time.
    """

    def __init__(self, program: Sequence[str], dsn: Dsn, jobs: int) -> None:
        self._program, self._dsn, self._jobs = program, dsn, jobs

    def definitions(self) -> Sink:
        """Make the tables."""
        with session(self._dsn) as (env, descriptors):
            return Sink(arguments(self._program, self._dsn.database, DEFINITIONS), env, descriptors)

    def rows(self) -> DealtRows:
        """Load the rows."""
        return DealtRows(self._program, self._dsn, self._jobs)

    def later(self, head: bytes) -> None:
        """Indexes, constraints, triggers and privileges; pg_restore keeps to their order, several at a time."""
        with _in_memory(head) as (archive, path):
            wanted = remaining(self._listed(LATER, archive, path), self._listed([], archive, path))
            if not wanted:
                return
            with (
                _in_memory("\n".join(wanted).encode()) as (chosen, chosen_path),
                session(self._dsn) as (env, descriptors),
            ):
                extra = [f"--jobs={self._jobs}", f"--use-list={chosen_path}", path]
                done = process.run(
                    arguments(self._program, self._dsn.database, extra),
                    deadline=DEADLINE,
                    env=env,
                    pass_fds=(*descriptors, archive, chosen),
                )
        if done.status != 0:
            raise RestoreFailed(f"pg_restore ended with status {done.status}\n{process.tail(done.stderr)}")

    def _listed(self, extra: Sequence[str], archive: int, path: str) -> list[str]:
        done = process.run(
            [*self._program, "--list", *extra, path],
            deadline=_LIST_SECONDS,
            env=process.clean_environment(),
            pass_fds=[archive],
        )
        if done.status != 0:
            raise RestoreFailed(f"pg_restore --list ended with status {done.status}\n{process.tail(done.stderr)}")
        return done.stdout.decode(errors="replace").splitlines()


class DealtRows:
    """The rows of an archive, through so many sessions at a time."""

    def __init__(self, program: Sequence[str], dsn: Dsn, jobs: int) -> None:
        self._error: Exception | None = None
        self._dealing: threading.Thread | None = None
        with ExitStack() as cleanup:
            cleanup.callback(self._join)
            sessions = []
            for _ in range(jobs):
                sessions.append(Session(dsn.connect()))
                cleanup.callback(sessions[-1].stop)
            self._dealer = Dealer(sessions)
            self._script = Sink([*program, *ROWS, "--file=-"], process.clean_environment(), output=True)
            cleanup.callback(self._script.stop)
            self._dealing = threading.Thread(target=self._deal, daemon=True)
            self._dealing.start()
            self._cleanup = cleanup.pop_all()

    def write(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            RestoreFailed: the server or pg_restore refused something.
        """
        self._see_error()
        try:
            self._script.write(block)
        except RestoreFailed:
            self._see_error()  # what made it end counts for more
            raise

    def finish(self) -> None:
        """See that all rows are there.

        Raises:
            RestoreFailed: they are not.
        """
        self._script.finish()
        self._join()
        self._see_error()
        self._dealer.end()

    def stop(self) -> None:
        """End it in any case."""
        self._cleanup.close()

    def _join(self) -> None:
        if self._dealing is not None:
            self._dealing.join()

    def _deal(self) -> None:
        try:
            with self._script.output() as script:
                while block := os.read(script.fileno(), _BLOCK):
                    self._dealer.feed(block)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that feeds
            self._error = error
            self._script.child.terminate()  # or it would wait for ever to be read

    def _see_error(self) -> None:
        if isinstance(self._error, RestoreFailed):
            raise self._error
        if self._error is not None:
            raise RestoreFailed(f"loading failed: {self._error!r}") from self._error


@contextmanager
def _in_memory(content: bytes) -> Iterator[tuple[int, str]]:
    """A file that is on no disk: its descriptor, and the path by which a child that inherits it opens it."""
    memory = os.memfd_create("drkit")
    try:
        gate.write_all(memory, memoryview(content))
        yield memory, f"/proc/self/fd/{memory}"
    finally:
        os.close(memory)
