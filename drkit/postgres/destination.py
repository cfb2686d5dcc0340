"""Where a database is restored: who asks and tells its server, and the programs that load it.

A server is reached over the network by a connection string (``drkit.postgres.access.ByDsn``), or from inside its own
pod (``drkit.cluster.server.InPod``). The steps of a restore, ``drkit.restore.databases``, are the same for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.errors import DrkitError
    from drkit.postgres.session import OwnSession


class Load(Protocol):
    """Takes a dump in custom format, block by block."""

    def write(self, block: bytes) -> None:
        """Take the next bytes. Raises ``RestoreFailed`` where the server or a program refused something."""
        ...

    def finish(self) -> None:
        """Load what remains, and see that everything ended well. Raises ``RestoreFailed`` where it did not."""
        ...


class Server(Protocol):
    """One running server, and a database in it, which need not be there yet."""

    @property
    def shown(self) -> str:
        """For messages."""
        ...

    @property
    def database(self) -> str:
        """The database's name."""
        ...

    @property
    def application(self) -> str:
        """What sessions are called in the server: by that a restore knows its own (``drkit.restore.remains``)."""
        ...

    @property
    def doors(self) -> tuple[str, ...]:
        """The databases to ask about the whole server in: the first that lets us in."""
        ...

    def of(self, database: str) -> Server:
        """The same server, another database."""
        ...

    def connect(self) -> OwnSession:
        """A new session. Raises ``SourceFailed``."""
        ...

    def check(self, major: int, dump_format: str, disk_bytes: int | None) -> None:
        """See that the programs and the room for a load are there, touching nothing.

        Args:
            major: of the server or of the dump, whichever is higher.
            dump_format: the dump's.
            disk_bytes: what the database took on its old server; nothing where nobody knows.

        Raises:
            PreflightFailed: they are not.
        """
        ...

    def whole(self, major: int, size: int) -> AbstractContextManager[Load]:
        """A load in one transaction: cut short at any instant, it leaves nothing.

        Args:
            major: see ``check``.
            size: how many bytes the dump has.
        """
        ...

    def sections(self, major: int, size: int, jobs: int) -> AbstractContextManager[Load]:
        """A load into a database that nobody else uses, as fast as it goes; cut short, it leaves a part.

        Args:
            major: see ``check``.
            size: how many bytes the dump has.
            jobs: how many things are done at a time.
        """
        ...

    def unpacked(self, major: int, dump: Path, how: str) -> None:
        """Load a directory dump that was unpacked on this machine.

        Args:
            major: see ``check``.
            dump: its directory.
            how: ``--single-transaction`` or ``--jobs=…``.

        Raises:
            RestoreFailed: pg_restore did not end well.
        """
        ...

    def left(self, error: DrkitError) -> bool:
        """Whether it has gone, or another has taken its place: what was begun on it can be begun on that one.

        Args:
            error: what was met on it.
        """
        ...


class Destination(Protocol):
    """A database of the target. Which server it is on may change in the course of a restore."""

    @property
    def shown(self) -> str:
        """For messages."""
        ...

    @property
    def database(self) -> str:
        """The database's name."""
        ...

    def server(self) -> Server:
        """The server that it is on now. Raises ``SourceFailed`` where there is none."""
        ...
