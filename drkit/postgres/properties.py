"""What belongs to a database itself: owner, locale, privileges, comment, settings; its dump leaves them out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from drkit.postgres.quoting import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def creation(name: str, encoding: str, wanted: Mapping[str, Any]) -> str:
    """``create database`` as the original was made. Pure."""
    made = (
        f"create database {identifier(name)} template template0 encoding {literal(encoding)}"
        f" lc_collate {literal(wanted['collate'])} lc_ctype {literal(wanted['ctype'])}"
    )
    provider = wanted["provider"]
    if provider != "libc" and wanted["locale"]:
        made += f" locale_provider {provider} {provider}_locale {literal(wanted['locale'])}"
    return made


def statements(name: str, wanted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What puts the properties back, where the database does not have ones of its own already. Pure.

    Args:
        name: the database's name in the target.
        wanted: the original's properties.
        now: the target's.
    """
    database = identifier(name)
    found = []
    if wanted["connection_limit"] != -1 and now["connection_limit"] == -1:
        found.append(f"alter database {database} connection limit {literal(wanted['connection_limit'])}")
    if wanted["comment"] and not now["comment"]:
        found.append(f"comment on database {database} is {literal(wanted['comment'])}")
    if wanted["privileges"] is not None and now["privileges"] is None:
        found.append(f"revoke all on database {database} from public")
        found += [_grant(database, *each) for each in wanted["privileges"]]
    if not now["settings"]:
        for role, values in wanted["settings"]:
            found += [_setting(database, role, value) for value in values]
    return found


def _grant(database: str, grantee: str | None, privilege: str, grantable: bool) -> str:  # noqa: FBT001 - a row
    to = "public" if grantee is None else identifier(grantee)
    words = {"CONNECT": "connect", "CREATE": "create", "TEMPORARY": "temporary"}
    return f"grant {words[privilege]} on database {database} to {to}" + (" with grant option" if grantable else "")


def _setting(database: str, role: str | None, value: str) -> str:
    key, _, text = value.partition("=")
    items = list_items(text) if key in _LISTS else [text]
    # A name with a point in it is that of a setting which an extension or an application has made up.
    named = ".".join(map(identifier, key.split(".")))
    where = f"alter database {database}" if role is None else f"alter role {identifier(role)} in database {database}"
    return f"{where} set {named} to {', '.join(map(literal, items))}"


def list_items(text: str) -> list[str]:
    """The names in a list setting's value, unquoted; an empty list is one empty name, as PostgreSQL writes it."""
    found = [quoted.replace('""', '"') if quoted else plain.strip() for quoted, plain in _LIST_ITEM.findall(text)]
    return found or [""]


def differences(wanted: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The properties in which a restored database is not as the original was. Pure."""
    compared: Iterable[str] = ("owner", "provider", "collate", "ctype", "locale", *_SET_LATER)
    return [f"{name} is {now[name]!r}, was {wanted[name]!r}" for name in compared if wanted[name] != now[name]]
