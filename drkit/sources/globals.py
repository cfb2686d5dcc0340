"""Source ``globals``: the roles, memberships and settings of one PostgreSQL server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import SourceFailed
from drkit.postgres import roles
from drkit.process import tail
from drkit.sources.port import MemoryStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from drkit.postgres.connection import Dsn
    from drkit.sources.port import SourceStream


@dataclass(frozen=True)
class GlobalsSource:
    """A server, by the connection strings of its databases: the first that answers is used."""

    name: str
    dsns: tuple[Dsn, ...]
    bin_dirs: tuple[Path, ...]
    kind: str = "globals"
    vaults: Sequence[str] = ("databases",)
    file_name: str = "globals.sql"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Dump them; see ``drkit.postgres.roles``."""
        found = self._dump()
        with MemoryStream(found.sql, {"passwords": found.passwords, "digest": roles.digest(found.sql)}) as stream:
            yield stream

    def _dump(self) -> roles.Globals:
        import psycopg  # noqa: PLC0415 - see Dsn.connect

        said = "no database of this server is configured"
        for dsn in self.dsns:
            try:
                with dsn.connect() as connection:
                    major = connection.info.server_version // 10000
            except psycopg.Error as error:
                said = f"{dsn.shown}: {tail(str(error))}"
            else:
                return roles.dump(dsn, major, self.bin_dirs)
        raise SourceFailed(said, "check the dsn, then: drkit check")
