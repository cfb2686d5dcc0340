"""Whether the databases with connection strings let drkit in, and a program here can dump them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from drkit import process
from drkit.checks.result import Look
from drkit.config.model import DsnDatabase
from drkit.errors import SourceFailed
from drkit.postgres import programs
from drkit.sources.find import dsn_of

if TYPE_CHECKING:
    from drkit.config.model import Config


def looks(config: Config) -> list[Look]:
    """One for each."""
    return [
        Look(f"database {each.name}", partial(_see, config, each))
        for each in config.databases
        if isinstance(each, DsnDatabase)
    ]


def _see(config: Config, database: DsnDatabase) -> str:
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    dsn = dsn_of(database, "databases")
    try:
        with dsn.connect() as connection:
            major = connection.info.server_version // 10000
    except psycopg.Error as error:
        raise SourceFailed(
            f"{dsn.shown}: {process.tail(str(error))}", "check the dsn, the server and its pg_hba.conf"
        ) from None
    program = programs.client("pg_dump", major, config.postgresql.bin_dirs)
    return f"{dsn.shown}: PostgreSQL {major}, dumped with {program}"
