"""A PostgreSQL server of CloudNativePG from inside its own pod: over its socket, as superuser, without a password.

https://cloudnative-pg.io/documentation/1.25/container_images/ says what is there: user ``postgres``, the programs
of the server's version on PATH, the socket in ``/controller/run``. Both ends of a dump, who counts and pg_dump, are in
one container: a snapshot of one server means nothing in another. What is restored goes in the same way.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from drkit.cluster.loading import InPodSections, free_bytes, stopped
from drkit.cluster.pod_watch import watched
from drkit.errors import PreflightFailed, RestoreFailed, SourceFailed
from drkit.postgres import load, psql, sections
from drkit.postgres.access import CUSTOM
from drkit.postgres.connection import APPLICATION
from drkit.postgres.roles import Globals
from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.cluster.kube import Execution, Executor
    from drkit.cluster.loading import Fed
    from drkit.errors import DrkitError

CONTAINER = "postgres"
_SOCKETS = "/controller/run"
_USER = "postgres"
_BLOCK = 64 * 1024

# A server that is busy with a statement asks now and then whether its client is still there (PostgreSQL 14).
_NOTICE_OUR_END = """select pg_catalog.set_config(name, '2s', false) from pg_catalog.pg_settings
 where name = 'client_connection_check_interval'"""


@dataclass(frozen=True)
class InPod:
    """One database of the server in a pod: an ``Access``, and a ``Server`` to restore into."""

    kube: Executor
    namespace: str
    pod: str
    database: str
    dump_format: str = CUSTOM
    application: str = field(default=APPLICATION, kw_only=True)

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{self.namespace}/{self.pod}/{self.database}"

    @property
    def address(self) -> str:
        """The pod."""
        return f"{self.namespace}/{self.pod}"

    def connect(self) -> psql.PsqlSession:
        """A new session, held by a psql in the pod."""
        # Whoever owns a database may have given it a search path with functions of their own in it: a superuser must
        # not call those. What psql sends and prints is UTF-8, whatever the database's encoding.
        argv = self._called("psql", *psql.ARGUMENTS, options="-c search_path=", PGCLIENTENCODING="UTF8")
        with ExitStack() as stack:
            running = stack.enter_context(self._execute(watched(argv), stdin=True))
            session = psql.PsqlSession(running, running.cut, stack.pop_all().close)
        try:
            session.execute(_NOTICE_OUR_END)
        except StatementFailed as error:
            session.close()
            raise SourceFailed(f"{self.shown}: {error}", "look at the pod: kubectl logs", passes=error.lost) from None
        except BaseException:
            session.close()
            raise
        return session

    @contextmanager
    def dump(self, major: int, arguments: Sequence[str]) -> Iterator[Execution]:  # noqa: ARG002 - the pod's has the server's version
        """Start the pod's own pg_dump."""
        argv = self._called("pg_dump", "--format=custom", "--compress=0", *arguments)
        with self._execute(argv) as running:
            yield running

    def globals(self) -> Globals:
        """The server's roles, with the hashes of their passwords."""
        with self._execute(
            self._called("pg_dumpall", "--globals-only", "--no-tablespaces", "--no-password")
        ) as running:
            blocks = []
            while block := os.read(running.fileno(), _BLOCK):
                blocks.append(block)
            running.finish()
        return Globals(b"".join(blocks), passwords=True)

    @property
    def doors(self) -> tuple[str, ...]:
        """What every server has."""
        return ("postgres", "template1")

    def of(self, database: str) -> Self:
        """The same server, another database."""
        return replace(self, database=database)

    def check(self, major: int, dump_format: str, disk_bytes: int | None) -> None:  # noqa: ARG002 - the pod's programs have the server's version
        """See that there is room for it, and that the dump comes as a stream.

        Raises:
            PreflightFailed: there is none, or it does not.
        """
        if dump_format != CUSTOM:
            raise PreflightFailed(
                f"{self.shown}: a dump that was made in a staging directory cannot be restored inside a pod",
                "restore it by a connection string: clusters.….databases",
            )
        try:
            with self._execute(["sh", "-c", 'df -Pk "$PGDATA"']) as running:
                said = os.read(running.fileno(), _BLOCK).decode(errors="replace")
                running.finish()
        except SourceFailed as error:
            raise PreflightFailed(error.message, error.hint, passes=error.passes) from None
        free = free_bytes(said)
        if free is not None and disk_bytes is not None and free < disk_bytes:
            raise PreflightFailed(
                f"{self.shown}: {free} bytes are free on the disk of its data; the database took {disk_bytes}",
                "give it a larger volume, or its node a larger disk",
            )

    @contextmanager
    def whole(self, major: int, size: int) -> Iterator[Fed]:  # noqa: ARG002 - see check
        """A load in one transaction."""
        with stopped(self._sections(size, 1).whole()) as fed:
            yield fed

    def sections(self, major: int, size: int, jobs: int) -> AbstractContextManager[sections.SectionLoad]:  # noqa: ARG002 - see check
        """A load in sections."""
        return sections.loader(self._sections(size, jobs))

    def unpacked(self, major: int, dump: Path, how: str) -> None:  # noqa: ARG002 - refused whatever they are
        """Refuse it, as ``check`` does."""
        raise RestoreFailed(f"{self.shown}: a directory dump cannot be restored inside a pod")

    def left(self, error: DrkitError) -> bool:  # noqa: ARG002 - see below
        """A pod's name does not say who is in it; see ``drkit.restore.cnpg.primary``."""
        return False

    def _sections(self, size: int, jobs: int) -> InPodSections:
        program = self._called(*load.arguments(["pg_restore"], self.database), options=load.SESSION_OPTIONS)
        what = f"pg_restore in {self.address}"
        return InPodSections(lambda argv: self._execute(argv, stdin=True), program, what, _SOCKETS, size, jobs)

    def _execute(self, argv: Sequence[str], *, stdin: bool = False) -> AbstractContextManager[Execution]:
        return self.kube.execute(self.namespace, self.pod, CONTAINER, argv, stdin=stdin)

    def _called(self, program: str, *arguments: str, options: str = "", **variables: str) -> list[str]:
        """A program of PostgreSQL's, told by its environment where to connect: names in arguments may mean more."""
        told = {
            "PGHOST": _SOCKETS,
            "PGUSER": _USER,
            "PGDATABASE": self.database,
            "PGAPPNAME": self.application,
            # What is told by the text of a message must be in one language; times are in one zone, as for ByDsn.
            "PGOPTIONS": f"-c lc_messages=C {options}".strip(),
            "PGTZ": "UTC",
            "LC_ALL": "C.UTF-8",
            **variables,
        }
        return ["env", *(f"{name}={value}" for name, value in told.items()), program, *arguments]
