"""A copy of the datastore read again, for deep verification: the same facts, worked out from the bytes in the vault."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from drkit.datastore import sqlite, status
from drkit.datastore.look import Kind
from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.datastore.bolt import Source


def differences(source: Source, details: Mapping[str, Any], scratch: Path) -> list[str]:
    """Read a copy to its end and compare it with what its descriptor says.

    A dump of PostgreSQL is a database like any other: ``drkit.verify.deep.database`` takes it as it is.

    Args:
        source: the archive.
        details: of the source, from the descriptor.
        scratch: where a SQLite database may lie, in a private directory, for the time.

    Returns:
        What is not as it was, as sentences.

    Raises:
        VerificationFailed: it cannot be read, or is of a kind that is not read here.
    """
    kind = details.get("datastore")
    if kind in {Kind.EMBEDDED_ETCD, Kind.EXTERNAL_ETCD}:
        found = asdict(status.facts(source))
    elif kind == Kind.SQLITE:
        found = asdict(sqlite.facts(source, scratch))
    else:
        raise VerificationFailed(f"a datastore of the kind {kind!r} cannot be read again here")
    found["bootstrap"] = list(found["bootstrap"])
    return status.differences({name: details.get(name) for name in found}, found)
