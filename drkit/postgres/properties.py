"""What belongs to a database itself: owner, locale, privileges, comment, settings; its dump leaves them out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg import sql

    from drkit.postgres.session import Session

Properties = dict[str, Any]
"""Owner, provider, collate, ctype, locale, connection_limit, comment, privileges and settings, by these names."""

_PROVIDERS = {"i": "icu", "b": "builtin"}
_LISTS = frozenset(
    {
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "unix_socket_directories",
    }
)
"""Settings whose value is a list of names (PostgreSQL, GUC_LIST_QUOTE)."""
_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]+))\s*(?:,|$)')
_SET_LATER = ("connection_limit", "comment", "privileges", "settings")
"""What ``statements`` puts back, and what is compared after a restore."""


def read(session: Session) -> Properties:
    """The properties of the session's database. Through JSON, since the catalog's columns differ by version."""
    row = session.execute(
        """select to_jsonb(d), pg_catalog.pg_get_userbyid(d.datdba),
                  pg_catalog.shobj_description(d.oid, 'pg_database')
             from pg_catalog.pg_database d where d.datname = current_database()"""
    ).fetchone()
    assert row is not None  # noqa: S101 - the database that answers is in its own list
    catalog, owner, comment = row
    privileges = session.execute(
        """select case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
                  a.privilege_type, a.is_grantable
             from pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a
            where d.datname = current_database() and a.grantee <> d.datdba order by 1 nulls first, 2"""
    ).fetchall()
    settings = session.execute(
        """select r.rolname, s.setconfig from pg_catalog.pg_db_role_setting s
             join pg_catalog.pg_database d on d.oid = s.setdatabase
             left join pg_catalog.pg_roles r on r.oid = s.setrole
            where d.datname = current_database() order by 1 nulls first"""
    ).fetchall()
    return {
        "owner": owner,
        "provider": _PROVIDERS.get(catalog.get("datlocprovider", "c"), "libc"),
        "collate": catalog["datcollate"],
        "ctype": catalog["datctype"],
        "locale": catalog.get("datlocale") or catalog.get("daticulocale") or "",
        "connection_limit": catalog["datconnlimit"],
        "comment": comment,
        # Nothing at all means PostgreSQL's default; an empty list means that everybody's rights were taken away.
        "privileges": None if catalog["datacl"] is None else [list(each) for each in privileges],
        "settings": [[role, sorted(values)] for role, values in settings],
    }


def creation(name: str, encoding: str, wanted: Mapping[str, Any]) -> sql.Composed:
    """``create database`` as the original was made."""
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    parts = [
        sql.SQL("create database {} template template0 encoding {} lc_collate {} lc_ctype {}").format(
            sql.Identifier(name), sql.Literal(encoding), sql.Literal(wanted["collate"]), sql.Literal(wanted["ctype"])
        )
    ]
    if wanted["provider"] != "libc" and wanted["locale"]:
        provider = wanted["provider"]
        parts.append(
            sql.SQL(f" locale_provider {provider} {provider}_locale {{}}").format(sql.Literal(wanted["locale"]))
        )
    return sql.Composed(parts)


def statements(name: str, wanted: Mapping[str, Any], now: Mapping[str, Any]) -> list[sql.Composed]:
    """What puts the properties back, where the database does not have ones of its own already. Pure.

    Args:
        name: the database's name in the target.
        wanted: the original's properties.
        now: the target's.
    """
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    database = sql.Identifier(name)
    found = []
    if wanted["connection_limit"] != -1 and now["connection_limit"] == -1:
        found.append(
            sql.SQL("alter database {} connection limit {}").format(database, sql.Literal(wanted["connection_limit"]))
        )
    if wanted["comment"] and not now["comment"]:
        found.append(sql.SQL("comment on database {} is {}").format(database, sql.Literal(wanted["comment"])))
    if wanted["privileges"] is not None and now["privileges"] is None:
        found.append(sql.SQL("revoke all on database {} from public").format(database))
        found += [_grant(database, *each) for each in wanted["privileges"]]
    if not now["settings"]:
        for role, values in wanted["settings"]:
            found += [_setting(database, role, value) for value in values]
    return found


def _grant(database: sql.Identifier, grantee: str | None, privilege: str, grantable: bool) -> sql.Composed:  # noqa: FBT001 - a row
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    to = sql.SQL("public") if grantee is None else sql.Identifier(grantee)
    words = {"CONNECT": "connect", "CREATE": "create", "TEMPORARY": "temporary"}
    statement = sql.SQL(f"grant {words[privilege]} on database {{}} to {{}}").format(database, to)
    return statement + sql.SQL(" with grant option") if grantable else statement


def _setting(database: sql.Identifier, role: str | None, value: str) -> sql.Composed:
    from psycopg import sql  # noqa: PLC0415 - see Dsn.connect

    key, _, text = value.partition("=")
    items = list_items(text) if key in _LISTS else [text]
    # A name with a point in it is that of a setting which an extension or an application has made up.
    named = sql.Identifier(*key.split("."))
    where = (
        sql.SQL("alter database {}").format(database)
        if role is None
        else sql.SQL("alter role {} in database {}").format(sql.Identifier(role), database)
    )
    return where + sql.SQL(" set {} to {}").format(named, sql.SQL(", ").join(map(sql.Literal, items)))


def list_items(text: str) -> list[str]:
    """The names in a list setting's value, unquoted; an empty list is one empty name, as PostgreSQL writes it."""
    found = [quoted.replace('""', '"') if quoted else plain.strip() for quoted, plain in _LIST_ITEM.findall(text)]
    return found or [""]


def differences(wanted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The properties in which a restored database is not as the original was. Pure."""
    compared: Iterable[str] = ("owner", "provider", "collate", "ctype", "locale", *_SET_LATER)
    return [f"{name} is {now[name]!r}, was {wanted[name]!r}" for name in compared if wanted[name] != now[name]]
