"""What a database holds, read from its catalog: the facts that a descriptor records and a restore compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from drkit.postgres.session import Session

# Tables whose rows pg_dump writes: ordinary ones and partitions, not those that belong to an extension, except where
# the extension declares them as configuration. Keep in step with pg_dump's selectDumpableTable.
_TABLES = """
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence <> 't'
   and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by c.relpages desc, 1
"""

_SEQUENCES = """
select pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), s.seqincrement
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_sequence s on s.seqrelid = c.oid
 where not s.seqcycle and c.relpersistence <> 't'
   and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1
"""

# What a user's database has beyond an empty one: everything outside the system's schemas that no extension owns.
_USER_OBJECTS = """
with member as (select classid, objid from pg_catalog.pg_depend where deptype = 'e'),
     space as (select oid, nspname from pg_catalog.pg_namespace
                where nspname <> 'information_schema' and nspname !~ '^pg_')
select * from (
  select case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized view'
                        when 'f' then 'foreign table' when 'c' then 'type' else 'table' end as kind,
         pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(c.relname) as name
    from pg_catalog.pg_class c join space s on s.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'S', 'v', 'm', 'f', 'c')
     and ('pg_catalog.pg_class'::regclass, c.oid) not in (select classid, objid from member)
  union all
  select 'function', pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(p.proname)
    from pg_catalog.pg_proc p join space s on s.oid = p.pronamespace
   where ('pg_catalog.pg_proc'::regclass, p.oid) not in (select classid, objid from member)
  union all
  select 'type', pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.typname)
    from pg_catalog.pg_type t join space s on s.oid = t.typnamespace
   where t.typtype in ('e', 'd', 'r')
     and ('pg_catalog.pg_type'::regclass, t.oid) not in (select classid, objid from member)
  union all
  select 'schema', pg_catalog.quote_ident(s.nspname) from space s
   where s.nspname <> 'public'
     and ('pg_catalog.pg_namespace'::regclass, s.oid) not in (select classid, objid from member)
  union all
  select 'large object', oid::text from pg_catalog.pg_largeobject_metadata
) as found order by 1, 2
"""


@dataclass(frozen=True)
class Server:
    """A server and one database in it: versions, encoding and locale, extensions, and the server's identity."""

    version: str
    major: int
    encoding: str
    disk_bytes: int
    """What the database takes on the server's disk."""
    extensions: dict[str, str]
    identity: str
    """The system identifier; empty where the user may not read it."""
    clock_offset_seconds: float
    """Its clock minus this machine's."""


def describe(session: Session, now: float) -> Server:
    """Read the facts about the server and database at the other end.

    Args:
        session: an open session of drkit's own, outside of transactions.
        now: this machine's time, seconds since 1970.
    """
    row = session.execute(
        """select current_setting('server_version'), current_setting('server_version_num')::int / 10000,
                  pg_catalog.pg_encoding_to_char(encoding),
                  extract(epoch from clock_timestamp())::float8, pg_catalog.pg_database_size(oid)
             from pg_catalog.pg_database where datname = current_database()"""
    ).fetchone()
    assert row is not None  # noqa: S101 - the database that answers is in its own list
    extensions = session.execute("select extname, extversion from pg_catalog.pg_extension order by 1").fetchall()
    return Server(
        version=str(row[0]).split()[0],
        major=int(row[1]),
        encoding=str(row[2]),
        disk_bytes=int(row[4]),
        extensions={str(name): str(version) for name, version in extensions},
        identity=_identity(session),
        clock_offset_seconds=float(row[3]) - now,
    )


def session(session: Session) -> dict[str, str]:
    """The settings that show in a dump's text and that pg_dump does not pin itself; its session has them too."""
    names = ("bytea_output", "xmlbinary")
    row = session.execute("select " + ", ".join(f"current_setting('{name}')" for name in names)).fetchone()
    assert row is not None  # noqa: S101 - an expression has one row
    return dict(zip(names, map(str, row), strict=True))


def _identity(session: Session) -> str:
    """Tells two servers apart."""
    try:
        row = session.execute("select system_identifier::text from pg_catalog.pg_control_system()").fetchone()
    except StatementFailed:
        return ""
    return str(row and row[0])


def tables(session: Session) -> list[str]:
    """The quoted names of all tables whose rows a dump holds, largest first."""
    return [str(name) for (name,) in session.execute(_TABLES)]


def sequences(session: Session) -> list[tuple[str, int]]:
    """Quoted name and step of all sequences that a dump holds, those that cycle apart."""
    return [(str(name), int(step)) for name, step in session.execute(_SEQUENCES)]


def user_objects(session: Session) -> list[tuple[str, str]]:
    """Kind and quoted name of everything that an empty database would not have."""
    return [(str(kind), str(name)) for kind, name in session.execute(_USER_OBJECTS)]


def roles(session: Session) -> list[str]:
    """The roles that own something in the database or are named in its privileges and policies.

    Dependencies on the bootstrap superuser are not recorded (it is pinned), so it always counts.
    """
    rows = session.execute(
        """select rolname from pg_catalog.pg_roles where oid = 10
           union select r.rolname from pg_catalog.pg_shdepend d join pg_catalog.pg_roles r on r.oid = d.refobjid
            where d.refclassid = 'pg_catalog.pg_authid'::regclass and r.rolname !~ '^pg_'
              and (d.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
                   or d.classid = 'pg_catalog.pg_database'::regclass
                      and d.objid = (select oid from pg_catalog.pg_database where datname = current_database()))
           order by 1"""
    )
    return [str(name) for (name,) in rows]
