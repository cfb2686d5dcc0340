"""What every scratch server is, wherever it runs: how it is made and started, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.postgres.connection import Dsn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_USER = "drkit"
_SETTINGS = {
    "listen_addresses": "",
    # Nothing in it outlives the verification, so nothing has to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "1024",
    "logging_collector": "off",
}


@dataclass(frozen=True)
class Scratch:
    """A running scratch server."""

    major: int
    directory: Path
    """Where its socket is and a dump may be unpacked; nobody but drkit's user, the server's and root gets there."""
    client: Callable[[str], Sequence[str]]
    """How a client program (``pg_restore``) is called; ``PreflightFailed`` where there is none that fits."""

    def dsn(self, database: str) -> Dsn:
        """How one of its databases is reached."""
        return Dsn({"host": str(self.directory), "user": _USER, "dbname": database, "port": "5432"}, None)


def initdb(program: str, data: str) -> list[str]:
    """How its data directory is made. It trusts whoever reaches its socket, which is in a private directory."""
    # The C locale and UTF-8 are in every build; each database gets the encoding of its original.
    return [program, "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]


def postgres(program: str, data: str, directory: Path) -> list[str]:
    """How it is started, with its socket in ``directory``."""
    settings = [argument for name, value in _SETTINGS.items() for argument in ("-c", f"{name}={value}")]
    return [program, "-D", data, "-k", str(directory), *settings]
