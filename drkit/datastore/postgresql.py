"""External PostgreSQL, as k3s's kine uses it: dumped as any database is, through the network of a server."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drkit.datastore.embedded import see_identity
from drkit.errors import ConfigurationError, SourceFailed
from drkit.postgres.connection import parse
from drkit.process import tail
from drkit.sources.database import DatabaseSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.cluster.k3s import Settings
    from drkit.cluster.node import Node
    from drkit.datastore.look import Seen
    from drkit.postgres.connection import Dsn
    from drkit.sources.port import SourceStream

_PORT = 5432
_DATABASE = "kubernetes"
"""kine's default (github.com/k3s-io/kine, pkg/drivers/pgsql)."""
_QUERY = """
select coalesce((select max(id) from kine), 0), coalesce((select string_agg(name, ' ' order by name) from (
    select distinct on (name) name, deleted from kine where name like '/bootstrap/%' order by name, id desc
) newest where deleted = 0), '')
"""


@contextmanager
def dumped(node: Node, seen: Seen, bin_dirs: tuple[Path, ...]) -> Iterator[SourceStream]:
    """A dump of the database that the cluster keeps its objects in, on its way.

    Args:
        node: a server; the database is reached from it, as k3s reaches it.
        seen: what was seen there.
        bin_dirs: where else PostgreSQL's programs may be.

    Raises:
        SourceFailed: it cannot be reached or dumped, or holds another cluster.
    """
    with ExitStack() as stack:
        dsn = reached(stack, node, seen.settings)
        revision, names = _ask(dsn)
        see_identity(names, seen)
        source = DatabaseSource("datastore", dsn, content_proofs=False, staging=None, bin_dirs=bin_dirs)
        stream = stack.enter_context(source.open())
        yield _Dump(stream, {"revision": revision, "bootstrap": list(names)})


def reached(stack: ExitStack, node: Node, settings: Settings) -> Dsn:
    """The database that a server was told of, reached from here through that server, with its certificates.

    Args:
        stack: keeps what that needs.
        node: the server.
        settings: what it was told.

    Raises:
        SourceFailed: it was told of what is no such database, or the server cannot be asked.
    """
    return _through(stack, node, _certified(stack, node, settings, _dsn(settings)))


def _dsn(settings: Settings) -> Dsn:
    try:
        dsn = parse(settings.endpoint, "datastore-endpoint")
    except ConfigurationError as error:
        raise SourceFailed(f"{error.message}, or with parameters that libpq does not know") from None
    return dsn if "dbname" in dsn.parameters else dsn.with_database(_DATABASE)


def _certified(stack: ExitStack, node: Node, settings: Settings, dsn: Dsn) -> Dsn:
    """With the certificates that k3s uses, which lie on the server: read into memory, where libpq opens them."""
    named = {"sslrootcert": settings.cafile, "sslcert": settings.certfile, "sslkey": settings.keyfile}
    parameters = dict(dsn.parameters)
    for parameter, path in named.items():
        path = path or parameters.get(parameter, "")  # noqa: PLW2901 - one or the other names the file
        if not path:
            continue
        content = node.read(path)
        if content is None:
            raise SourceFailed(f"{node.name}: {path} is not there, and k3s's datastore settings name it")
        memory = os.memfd_create("datastore")
        stack.callback(os.close, memory)
        os.fchmod(memory, 0o600)
        os.write(memory, content)
        # pg_dump opens it too, which is another process.
        parameters[parameter] = f"/proc/{os.getpid()}/fd/{memory}"
    return replace(dsn, parameters=parameters)


def _through(stack: ExitStack, node: Node, dsn: Dsn) -> Dsn:
    """Reached through the server's network. ``host`` stays what certificates and password files know it as."""
    host, port = dsn.parameters.get("host", "localhost"), int(dsn.parameters.get("port", _PORT))
    address, here = stack.enter_context(node.forward(dsn.parameters.get("hostaddr", host), port))
    if (address, here) == (host, port):
        return dsn
    way = {"host": host, "hostaddr": "127.0.0.1", "port": str(here)} if address == "127.0.0.1" else {}
    return replace(dsn, parameters={**dsn.parameters, **way})


def _ask(dsn: Dsn) -> tuple[int, tuple[str, ...]]:
    """The newest revision, which the dump holds at least, and under which keys identities are kept."""
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    try:
        with dsn.connect() as connection:
            row = connection.execute(_QUERY).fetchone()
    except psycopg.Error as error:
        raise SourceFailed(f"{dsn.shown}: {tail(str(error))}", "see that it holds k3s's table kine") from None
    assert row is not None  # noqa: S101 - a query without a table has one row
    return int(row[0]), tuple(str(row[1]).split())


@dataclass(frozen=True)
class _Dump:
    stream: SourceStream
    facts: dict[str, Any]

    def fileno(self) -> int:
        return self.stream.fileno()

    def finish(self) -> None:
        self.stream.finish()

    def details(self) -> dict[str, Any]:
        return {**self.stream.details(), **self.facts}
