"""Roles and globals of a server: dumped by pg_dumpall, put back without touching what the target has."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import SourceFailed
from drkit.postgres import programs
from drkit.postgres.connection import libpq_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from drkit.postgres.connection import Dsn

_DEADLINE = 120.0
# pg_dumpall quotes every name but the plainest (PostgreSQL, fmtId).
_IDENTIFIER = r'("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_ABOUT_ONE_ROLE = re.compile(rf"\s*(?:CREATE|ALTER|COMMENT ON) (?:ROLE|USER) {_IDENTIFIER}(?P<rest>[\s\S]*)")
_MEMBERSHIP = re.compile(rf"\s*GRANT {_IDENTIFIER} TO {_IDENTIFIER}(?P<rest>[\s\S]*)")
_GRANTED_BY = re.compile(rf"\s+GRANTED BY {_IDENTIFIER}\s*$")


@dataclass(frozen=True)
class Globals:
    """The SQL that makes a server's roles, and whether it holds their passwords (as hashes)."""

    sql: bytes
    passwords: bool


def dump(dsn: Dsn, server_major: int, bin_dirs: Iterable[Path]) -> Globals:
    """Roles, memberships and settings of the server, with password hashes where the user may read them.

    Raises:
        SourceFailed: not even the part without passwords can be read.
        PreflightFailed: there is no pg_dumpall that fits.
    """
    program = programs.client("pg_dumpall", server_major, bin_dirs)
    base = [
        program,
        "--globals-only",
        "--no-tablespaces",
        "--no-password",
        f"--database=dbname={_quoted(dsn.database)}",
    ]
    with libpq_environment(dsn) as (env, descriptors):
        done = process.run(base, deadline=_DEADLINE, env=env, pass_fds=descriptors)
        if done.status == 0:
            return Globals(done.stdout, passwords=True)
        # Only a superuser reads pg_authid; everybody reads pg_roles.
        without = process.run([*base, "--no-role-passwords"], deadline=_DEADLINE, env=env, pass_fds=descriptors)
    if without.status != 0:
        raise SourceFailed(
            f"{dsn.shown}: pg_dumpall ended with status {without.status}\n{process.tail(without.stderr)}"
        )
    return Globals(without.stdout, passwords=False)


def _quoted(value: str) -> str:
    """A value in a libpq keyword string."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def statements(sql: str) -> Iterator[str]:
    """The statements of a script, without comments and psql's own commands; quotes may hold anything."""
    begin = position = 0
    while position < len(sql):
        character = sql[position]
        if character in "'\"":
            position = _after_quote(sql, position)
        elif sql.startswith("--", position) or (character == "\\" and not sql[begin:position].strip()):
            end = sql.find("\n", position)
            end = len(sql) if end < 0 else end
            sql = sql[:position] + sql[end:]
        elif character == ";":
            yield sql[begin:position].strip()
            begin = position = position + 1
        else:
            position += 1


def digest(sql: bytes) -> str:
    r"""SHA-256 (hex) over the statements alone: each script has a random token in it (``\restrict``)."""
    return hashlib.sha256("\n".join(statements(sql.decode(errors="replace"))).encode()).hexdigest()


def _after_quote(sql: str, position: int) -> int:
    """The position after the quoted text that begins at ``position``; backslashes escape only after an E."""
    quote = sql[position]
    escapes = quote == "'" and position > 0 and sql[position - 1] in "Ee"
    position += 1
    while position < len(sql):
        if escapes and sql[position] == "\\":
            position += 2
        elif sql[position] == quote:
            if sql[position + 1 : position + 2] != quote:
                return position + 1
            position += 2
        else:
            position += 1
    return position


def _unquoted(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def for_missing(sql: str, existing: Iterable[str], only: Iterable[str] | None = None) -> list[str]:
    """The statements of a globals script that concern roles which the target lacks; existing roles are never changed.

    Args:
        sql: the output of ``pg_dumpall --globals-only``.
        existing: the target's roles.
        only: make no others than these; all when left out.
    """
    there = set(existing)
    found = list(statements(sql))
    made = {
        _unquoted(match[1])
        for statement in found
        if (match := _ABOUT_ONE_ROLE.match(statement)) and statement.lstrip().startswith("CREATE")
    } - there
    if only is not None:
        made &= set(only)
    kept = []
    for statement in found:
        about = _ABOUT_ONE_ROLE.match(statement)
        # Settings for one database come back with that database.
        if about and _unquoted(about[1]) in made and not about["rest"].startswith(" IN DATABASE "):
            kept.append(statement)
        membership = _MEMBERSHIP.match(statement)
        if membership and _unquoted(membership[2]) in made and _unquoted(membership[1]) in there | made:
            # The grantor may be missing here; the one who restores is the grantor then.
            kept.append(_GRANTED_BY.sub("", statement))
    return kept


def created_by(statements_to_run: Iterable[str]) -> list[str]:
    """The names of the roles that these statements make."""
    matches = (_ABOUT_ONE_ROLE.match(text) for text in statements_to_run if text.lstrip().startswith("CREATE"))
    return [_unquoted(match[1]) for match in matches if match]
