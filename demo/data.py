"""The shop: its roles, its two databases, a day of business, and the disaster. All of it is made on the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.lab.postgres import LabPostgres

SHOP = "shop"
STAGING = "shop_staging"
APPLICATION = "shop_app"
"""The role that the shop's application logs in with."""

_ROLES = ("shop_owner", APPLICATION, "reporting", "Лена O'Neil")
_USEFUL_EXTENSIONS = ("citext", "pg_trgm")
"""Contributed modules, which not every machine has."""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Shop:
    """What was made, as far as others need to know it."""

    password: str
    """The application's."""
    extensions: tuple[str, ...]
    rows: int
    size: int
    """Bytes on the server's disk."""


def connect(postgres: LabPostgres, database: str) -> Connection:
    """A new connection as the server's superuser; every statement is a transaction."""
    return psycopg.connect(postgres.address(database), autocommit=True)


def build(postgres: LabPostgres) -> Shop:
    """Make both databases; a few seconds."""
    password = secrets.token_urlsafe(12)
    with connect(postgres, "postgres") as server:
        _make_roles(server, password)
        server.execute(f"create database {SHOP} owner shop_owner")
        server.execute(f"revoke connect on database {SHOP} from public")
        server.execute(f"grant connect on database {SHOP} to {APPLICATION}, reporting")
        server.execute(f"comment on database {SHOP} is 'What we live on'")
        server.execute(f"alter database {SHOP} set timezone = 'Europe/Vienna'")
        server.execute(f"create database {STAGING}")
    with connect(postgres, SHOP) as database:
        extensions = _extend(database)
        _run(database, "shop.sql")
        if "pg_trgm" in extensions:
            database.execute("create index on catalogue.products using gin (description public.gin_trgm_ops)")
    with connect(postgres, STAGING) as database:
        _run(database, "staging.sql")
    rows, size = _measure(postgres, (SHOP, STAGING))
    return Shop(password, extensions, rows, size)


def change(postgres: LabPostgres) -> None:
    """A day of business: new, changed and deleted rows, a new table, a new and a changed document."""
    with connect(postgres, SHOP) as database:
        _run(database, "changes.sql")


def destroy(postgres: LabPostgres) -> None:
    """The disaster: the database is dropped, and every role that it had with it."""
    with connect(postgres, "postgres") as server:
        server.execute(f"drop database {SHOP} with (force)")
        for role in _ROLES:
            server.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def _make_roles(server: Connection, password: str) -> None:
    for role in _ROLES:
        server.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
    server.execute(
        sql.SQL("alter role {} login connection limit 40 password {}").format(
            sql.Identifier(APPLICATION), sql.Literal(password)
        )
    )
    server.execute(f"alter role {APPLICATION} set statement_timeout = '30s'")
    server.execute("""grant reporting to "Лена O'Neil" """)


def _extend(database: Connection) -> tuple[str, ...]:
    """Make the useful extensions that this machine has, and the domain that depends on which it has."""
    rows = database.execute(
        "select name from pg_available_extensions where name = any(%s) order by 1", [list(_USEFUL_EXTENSIONS)]
    )
    found = tuple(str(name) for (name,) in rows)
    for name in found:
        database.execute(sql.SQL("create extension {}").format(sql.Identifier(name)))
    text = "citext" if "citext" in found else "text"
    database.execute(f"create domain public.email_address as {text} check (position('@' in value::text) > 1)")
    return found


def _run(database: Connection, script: str) -> None:
    database.execute(Path(__file__).with_name(script).read_text(encoding="utf-8"))


def _measure(postgres: LabPostgres, databases: Iterable[str]) -> tuple[int, int]:
    """Rows and bytes, as the statistics and the disk have them."""
    rows = size = 0
    for name in databases:
        with connect(postgres, name) as database:
            database.execute("analyze")
            found = database.execute(
                """select coalesce(sum(greatest(reltuples, 0)) filter (where relkind = 'r'), 0)::bigint,
                          pg_database_size(current_database())
                     from pg_class where relnamespace not in
                          (select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema')"""
            ).fetchone()
        assert found is not None  # noqa: S101 - an aggregate has one row
        rows, size = rows + int(found[0]), size + int(found[1])
    return rows, size
