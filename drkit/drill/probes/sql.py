"""What both kinds of SQL have in common: a connection string, and a session that asks one statement at a time."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.drill.probes.doors import Door
from drkit.drill.probes.port import Failed, Reply
from drkit.drill.probes.streams import verified
from drkit.drill.probes.wanted import Place
from drkit.drill.probes.wire import Login, Wire, connected
from drkit.errors import ConfigurationError
from drkit.postgres import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.wanted import Sql

APPLICATION = "drkit-drill"
_PORT = 5432
_WHO = "pg_catalog.host(pg_catalog.inet_server_addr())"
_TIMELINE = "pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"
SERVER = f"{_WHO}, case when pg_catalog.pg_is_in_recovery() then null else {_TIMELINE} end"
"""Which server this is, and a primary's timeline: the first eight hexadecimal digits of the names of its WAL files."""

_IGNORED = frozenset({"application_name", "connect_timeout", "client_encoding", "fallback_application_name"})
_UNDERSTOOD = frozenset({"host", "hostaddr", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"})
_DEFAULTS: Mapping[str, str] = {"target_session_attrs": "any", "gssencmode": "disable", "channel_binding": "prefer"}
"""Others of their values would be promises that are not kept here."""


class SqlKind:
    """One database, asked one statement.

    Args:
        wanted: which, and how it is reached.
        ways: where ways begin.
        statement: what is asked, of a row's number.
        writes: whether that writes it.

    Raises:
        ConfigurationError: the connection string asks for what is not done here.
    """

    reopens = False

    def __init__(self, wanted: Sql, ways: Ways, statement: Callable[[int | None], str], *, writes: bool) -> None:
        self.writes = writes
        self._statement = statement
        self._login, place = understood(connection.parse(wanted.dsn, "dsn"))
        self._door = Door(wanted.connect or place, ways)

    async def open(self) -> SqlLine:
        """A new session."""
        return SqlLine(await connected(self._door, self._login), self._statement, writes=self.writes)


class SqlLine:
    """A session."""

    def __init__(self, wire: Wire, statement: Callable[[int | None], str], *, writes: bool) -> None:
        self._wire, self._statement, self._writes = wire, statement, writes

    @property
    def in_doubt(self) -> bool:
        """A write that was sent and not answered, or not by a server that has to know."""
        return self._writes and self._wire.in_doubt

    @property
    def ended(self) -> bool:
        """The server has ended it."""
        return self._wire.ended

    async def ask(self, row: int | None) -> Reply:
        """Run the statement; its commit is part of it."""
        found = await self._wire.query(self._statement(row))
        try:
            server, timeline = found
            return Reply(server or "", None if timeline is None else int(timeline, 16))
        except ValueError:
            raise Failed("another answer") from None

    def close(self) -> None:
        """End it."""
        self._wire.close()


def understood(dsn: connection.Dsn) -> tuple[Login, Place]:
    """Who asks and where, by a connection string.

    Raises:
        ConfigurationError: it asks for what is not done here.
    """
    given = dict(dsn.parameters)
    strange = [
        name
        for name, value in given.items()
        if name not in _IGNORED and name not in _UNDERSTOOD and _DEFAULTS.get(name) != value
    ]
    host, port = given.get("host", ""), given.get("port", str(_PORT))
    if strange or "," in host or "/" in host or not (host or given.get("hostaddr")) or not port.isdecimal():
        raise ConfigurationError(
            f"{dsn.shown}: a probe cannot connect so" + (f": {', '.join(strange)}" if strange else ""),
            "expected one host, reached over TCP, and of its parameters sslmode, sslrootcert, sslcert and sslkey alone",
        )
    context, needs_tls = _tls(given)
    user = given.get("user", "")
    login = Login(
        user,
        given.get("dbname") or user,
        APPLICATION,
        dsn.password or "",
        context,
        needs_tls,
        host or given.get("hostaddr", ""),
    )
    return login, Place(given.get("hostaddr") or host, int(port))


def _tls(given: Mapping[str, str]) -> tuple[ssl.SSLContext | None, bool]:
    """TLS as libpq's ``sslmode`` has it (libpq, "SSL Support"), and whether it has to be."""
    mode, root = given.get("sslmode", "prefer"), given.get("sslrootcert", "")
    if mode in {"disable", "allow"}:
        return None, False
    try:
        if mode in {"verify-ca", "verify-full"}:
            context = verified("" if root in {"", "system"} else Path(root).read_text(encoding="ascii"))
            context.check_hostname = mode == "verify-full"
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if given.get("sslcert"):
            context.load_cert_chain(given["sslcert"], given.get("sslkey"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the certificates of a probe's connection string: {error}") from None
    return context, mode != "prefer"
