"""How a PostgreSQL database is reached, with the password kept out of arguments, environments and files."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import ConfigurationError
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

APPLICATION = "drkit"
"""What sessions are called in their server."""
_CONNECT_SECONDS = 15


@dataclass(frozen=True, repr=False)
class Dsn:
    """A parsed connection string: libpq's parameters without the password, and the password."""

    parameters: Mapping[str, str]
    password: str | None
    application: str = APPLICATION
    """What its sessions are called in the server, and those of PostgreSQL's programs."""

    def __repr__(self) -> str:
        return f"Dsn({self.shown})"

    @property
    def database(self) -> str:
        """The database's name; libpq's default is the user's."""
        return self.parameters.get("dbname") or self.parameters.get("user") or ""

    @property
    def shown(self) -> str:
        """For messages: ``user@host:port/database``."""
        host = self.parameters.get("host") or self.parameters.get("hostaddr") or "local socket"
        port = self.parameters.get("port", "5432")
        return f"{self.parameters.get('user', '')}@{host}:{port}/{self.database}"

    def with_database(self, name: str) -> Dsn:
        """The same server and user, another database."""
        return replace(self, parameters={**self.parameters, "dbname": name})

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        """A new connection with settings under which values read the same everywhere.

        Raises:
            psycopg.OperationalError: the server refused or does not answer.
        """
        import psycopg  # noqa: PLC0415 - a quarter of a second that `drkit --help` need not pay

        parameters: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, **self.parameters}
        if self.password is not None:
            parameters["password"] = self.password
        parameters["application_name"] = self.application
        connection = psycopg.connect(autocommit=autocommit, **parameters)
        connection.prepare_threshold = None  # works through any pooler that is in session mode
        return connection


def parse(text: str, what: str) -> Dsn:
    """Read a connection string, an address (``postgresql://…``) or keywords (``host=… dbname=…``).

    Args:
        text: the connection string.
        what: its name in messages, such as ``databases.billing.dsn``.

    Raises:
        ConfigurationError: libpq does not understand it.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see Dsn.connect

    try:
        # A NUL would end the string for libpq, in silence.
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}=")
        parameters = {key: str(value) for key, value in conninfo_to_dict(text).items() if value is not None}
    except psycopg.ProgrammingError:
        # libpq's words repeat the string, password and all.
        raise ConfigurationError(
            f"{what}: not a PostgreSQL connection string", "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None
    password = parameters.pop("password", None)
    if password:
        register(password)
    return Dsn(parameters, password or None)


@contextmanager
def libpq_environment(dsn: Dsn) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Environment and descriptors with which PostgreSQL's programs reach ``dsn``.

    The password is in a file that exists in memory alone and only while someone has it open; libpq reads it as a
    password file (libpq, "The Password File").
    """
    env = process.clean_environment()
    env.update(_variables(dsn))
    env["PGAPPNAME"] = dsn.application
    env.setdefault("PGCONNECT_TIMEOUT", str(_CONNECT_SECONDS))
    # Times are written in the session's zone: in one zone everywhere, equal contents give equal dumps.
    env["PGTZ"] = "UTC"
    if dsn.password is None:
        yield env, ()
        return
    memory = os.memfd_create("pgpass")
    try:
        os.fchmod(memory, 0o600)
        escaped = dsn.password.replace("\\", "\\\\").replace(":", "\\:")
        os.write(memory, f"*:*:*:*:{escaped}\n".encode())
        yield {**env, "PGPASSFILE": f"/proc/self/fd/{memory}"}, (memory,)
    finally:
        os.close(memory)


def _variables(dsn: Dsn) -> dict[str, str]:
    """Libpq's environment variable for each parameter that has one."""
    from psycopg import pq  # noqa: PLC0415 - see Dsn.connect

    names = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    variables = {}
    for keyword, value in dsn.parameters.items():
        variable = names.get(keyword)
        if variable:
            variables[variable.decode()] = value
    return variables
