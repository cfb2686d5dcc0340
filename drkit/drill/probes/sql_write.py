"""Probes of kind ``sql-write``: one row for each question, committed by the statement that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.probes.ledger import TABLE
from drkit.drill.probes.sql import SERVER, SqlKind
from drkit.postgres.quoting import literal

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.wanted import Sql


def sql_write(wanted: Sql, probe: str, ways: Ways) -> SqlKind:
    """The kind. Raises ``ConfigurationError`` as ``SqlKind`` does.

    Args:
        wanted: where.
        probe: its name, which its rows carry.
        ways: where ways begin.
    """
    whose = f"{literal(wanted.run)}, {literal(probe)}"

    def statement(row: int | None) -> str:
        return f"insert into {TABLE} (run, probe, number) values ({whose}, {row}) returning {SERVER}"  # noqa: S608 - literals

    return SqlKind(wanted, ways, statement, writes=True)
