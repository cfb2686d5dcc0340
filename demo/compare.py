"""What a database is, down to the last byte, asked of PostgreSQL alone: nothing here comes from drkit's own proofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

Portrait = dict[str, dict[str, str]]
"""Kind of thing → its name → its value, or a digest of it."""

TABLES = "tables"
LARGE_OBJECTS = "large objects"

# A value's text form must depend on the value alone, and a definition must name every schema.
_SETTINGS = "set search_path = ''; set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set row_security = off"

_OURS = """
    select oid, nspname from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
"""
_WITH_ROWS = f"""
    select format('%I.%I', s.nspname, c.relname) from pg_catalog.pg_class c join ({_OURS}) s on s.oid = c.relnamespace
     where c.relkind in ('r', 'm') order by 1
"""

_QUERIES = {
    "sequences": """
        select format('%I.%I', schemaname, sequencename), to_jsonb(q)::text from pg_catalog.pg_sequences q
    """,
    LARGE_OBJECTS: """
        select oid::text, pg_catalog.md5(pg_catalog.lo_get(oid)) from pg_catalog.pg_largeobject_metadata
    """,
    "columns": f"""
        select format('%I.%I.%I', s.nspname, c.relname, a.attname),
               concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                         a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
          from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
          join ({_OURS}) s on s.oid = c.relnamespace
          left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
         where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
    """,
    "constraints and indexes": f"""
        select format('%s %I', c.conrelid::regclass, c.conname), pg_get_constraintdef(c.oid)
          from pg_catalog.pg_constraint c join ({_OURS}) s on s.oid = c.connamespace
         union all
        select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
          from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
          join ({_OURS}) s on s.oid = c.relnamespace
    """,
    "views, functions, triggers": f"""
        select 'view ' || c.oid::regclass, concat_ws(' ', c.reloptions, pg_get_viewdef(c.oid))
          from pg_catalog.pg_class c join ({_OURS}) s on s.oid = c.relnamespace where c.relkind in ('v', 'm')
         union all
        select 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid)
          from pg_catalog.pg_proc p join ({_OURS}) s on s.oid = p.pronamespace where p.prokind in ('f', 'p')
         union all
        select format('trigger %I on %s', tgname, tgrelid::regclass), pg_get_triggerdef(oid)
          from pg_catalog.pg_trigger where not tgisinternal
         union all
        select format('policy %I on %s', polname, polrelid::regclass),
               concat_ws(' ', polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid))
          from pg_catalog.pg_policy
    """,
    "types and extensions": f"""
        select 'label ' || enumtypid::regtype || ' ' || enumlabel,
               rank() over (partition by enumtypid order by enumsortorder)::text
          from pg_catalog.pg_enum
         union all
        select 'domain ' || t.oid::regtype, format_type(t.typbasetype, t.typtypmod)
          from pg_catalog.pg_type t join ({_OURS}) s on s.oid = t.typnamespace where t.typtype = 'd'
         union all
        select 'extension ' || extname, extversion from pg_catalog.pg_extension
         union all
        select 'comment on schema ' || s.nspname, obj_description(s.oid, 'pg_namespace') from ({_OURS}) s
    """,
    "owners and grants": f"""
        with thing (name, owner, acl) as (
            select 'schema ' || s.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
              from pg_catalog.pg_namespace n join ({_OURS}) s on s.oid = n.oid
             union all
            select c.oid::regclass::text, c.relowner,
                   coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
              from pg_catalog.pg_class c join ({_OURS}) s on s.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'v', 'm', 'S')
             union all
            select format('%s.%I', c.oid::regclass, a.attname), c.relowner, a.attacl
              from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
              join ({_OURS}) s on s.oid = c.relnamespace where a.attacl is not null
             union all
            select p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
              from pg_catalog.pg_proc p join ({_OURS}) s on s.oid = p.pronamespace
             union all
            select 'large object ' || oid, lomowner, coalesce(lomacl, acldefault('L', lomowner))
              from pg_catalog.pg_largeobject_metadata
             union all
            select format('default in %s for %s', defaclnamespace::regnamespace, defaclobjtype), defaclrole, defaclacl
              from pg_catalog.pg_default_acl
             union all
            select 'database', datdba, coalesce(datacl, acldefault('d', datdba))
              from pg_catalog.pg_database where datname = current_database()
        )
        select name, owner::regrole || coalesce((
                   select string_agg(line, '' order by line) from (
                       select format(' %s:%s:%s:%s', grantor::regrole, grantee::regrole, privilege_type, is_grantable)
                         from aclexplode(acl)) as each (line)), '')
          from thing
    """,
    "roles and settings": """
        select 'role ' || rolname, (to_jsonb(a) - 'oid')::text from pg_catalog.pg_authid a where rolname !~ '^pg_'
         union all
        select format('member %s of %s', member::regrole, roleid::regrole), admin_option::text
          from pg_catalog.pg_auth_members where roleid >= 16384
         union all
        select format('settings of role %s in database %s', s.setrole::regrole, d.datname), s.setconfig::text
          from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_database d on d.oid = s.setdatabase
         union all
        select 'database ' || datname,
               concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
                         shobj_description(oid, 'pg_database'))
          from pg_catalog.pg_database where datname = current_database()
    """,
}


@dataclass(frozen=True)
class Compared:
    """One kind of thing: how many there were, and the names of those that are not as they were."""

    kind: str
    count: int
    different: tuple[str, ...]


def portray(database: Connection) -> Portrait:
    """Everything that is compared, of the database at the other end."""
    database.execute(_SETTINGS)
    names = [str(name) for (name,) in database.execute(_WITH_ROWS)]
    portrait = {TABLES: {name: _digest(database, name) for name in names}}
    for kind, query in _QUERIES.items():
        portrait[kind] = {str(name): str(value) for name, value in database.execute(query)}
    return portrait


def _digest(database: Connection, table: str) -> str:
    """Number of rows, and the MD5 over the texts of all of them in order."""
    row = database.execute(
        f"""select count(*), md5(string_agg(line, E'\\n' order by line collate "C"))
              from (select this.*::text as line from only {table} as this) as lines"""
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return f"{row[0]} {row[1]}"


def rows(portrait: Portrait) -> int:
    """How many rows its tables have together."""
    return sum(int(value.partition(" ")[0]) for value in portrait[TABLES].values())


def compare(was: Portrait, now: Portrait) -> list[Compared]:
    """Kind by kind, what is not as it was, in either direction."""
    return [
        Compared(
            kind,
            len(was[kind]),
            tuple(
                name
                for name in sorted(was[kind].keys() | now[kind].keys())
                if was[kind].get(name) != now[kind].get(name)
            ),
        )
        for kind in was
    ]
