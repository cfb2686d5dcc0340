"""Probes of kind ``sql-read``: a row that any instance has, a replica too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.probes.ledger import TABLE
from drkit.drill.probes.sql import SERVER, SqlKind

if TYPE_CHECKING:
    from drkit.drill.probes.doors import Ways
    from drkit.drill.probes.wanted import Sql

# The table is read too: a server whose disk is gone still knows its own address.
_STATEMENT = f"select {SERVER} from (select count(*) from (select from {TABLE} limit 1) as few) as seen"  # noqa: S608 - constants


def sql_read(wanted: Sql, ways: Ways) -> SqlKind:
    """The kind. Raises ``ConfigurationError`` as ``SqlKind`` does."""
    return SqlKind(wanted, ways, lambda _: _STATEMENT, writes=False)
