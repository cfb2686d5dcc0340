"""Digests of a data script, table by table: what the archive holds against what the scratch server holds.

Both scripts are written by PostgreSQL's own programs, ``pg_restore --data-only`` from the archive and ``pg_dump
--data-only`` from the server that it was restored into. A freshly loaded table is read back in the order in which it
was loaded, so equal contents give equal bytes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_COPY = re.compile(rb"^COPY (.+) \(.*\) FROM stdin;$|^COPY (.+) FROM stdin;$", re.DOTALL)
_END = b"\\.\n"
_LARGE_OBJECTS = re.compile(rb"^SELECT pg_catalog\.(lo_open|lowrite|lo_create|lo_close)\(")
_SEQUENCE = re.compile(rb"^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$")


@dataclass(frozen=True)
class Digest:
    """What a script puts into one table: the number of lines and the SHA-256 of their bytes (hex)."""

    lines: int
    sha256: str


class ScriptDigester:
    """Takes a script in blocks of any size; memory is bounded by the longest line outside the data and a block."""

    def __init__(self) -> None:
        self.tables: dict[str, Digest] = {}
        self.sequences: dict[str, str] = {}
        self._large_objects = hashlib.sha256()
        self._large_object_lines = 0
        self._pending = b""
        self._table: str | None = None
        self._hash = hashlib.sha256()
        self._lines = 0
        self._statement = b""

    def feed(self, block: bytes) -> None:
        """Take the next bytes."""
        data = self._pending + block
        while data:
            data, more = self._in_table(data) if self._table is not None else self._outside(data)
            if not more:
                break
        self._pending = data

    def result(self) -> dict[str, Digest]:
        """The digest for each table, with large objects and sequences under names of their own.

        Raises:
            ValueError: the script ended inside a table's data.
        """
        if self._table is not None:
            raise ValueError(f"the data of {self._table} does not end")
        found = dict(self.tables)
        found["(large objects)"] = Digest(self._large_object_lines, self._large_objects.hexdigest())
        for name, value in self.sequences.items():
            found[f"(sequence {name})"] = Digest(1, value)
        return found

    def _in_table(self, data: bytes) -> tuple[bytes, bool]:
        """Hash data up to its end mark, keeping back what may be the mark's beginning."""
        if self._lines == 0 and data.startswith(_END):
            end = 0
        else:
            found = data.find(b"\n" + _END)
            end = -1 if found < 0 else found + 1
        if end >= 0:
            self._take(data[:end])
            assert self._table is not None  # noqa: S101 - the caller asked only because it is
            self.tables[self._table] = Digest(self._lines, self._hash.hexdigest())
            self._table = None
            return data[end + len(_END) :], True
        # Whole lines only, and never the newline that the mark would need before it.
        cut = data.rfind(b"\n", 0, max(0, len(data) - len(_END) - 1))
        if cut > 0:
            self._take(data[:cut])
            data = data[cut:]
        return data, False

    def _take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._lines += piece.count(b"\n")

    def _outside(self, data: bytes) -> tuple[bytes, bool]:
        end = data.find(b"\n")
        if end < 0:
            return data, False
        line, rest = data[: end + 1], data[end + 1 :]
        # A quoted name can hold newlines: these two statements go on until their quotes are closed.
        self._statement += line
        if self._statement.startswith((b"COPY ", b"SELECT pg_catalog.setval(")) and self._statement.count(b'"') % 2:
            return rest, True
        statement, self._statement = self._statement.rstrip(b"\n"), b""
        self._statement_ended(statement)
        return rest, True

    def _statement_ended(self, statement: bytes) -> None:
        copy = _COPY.match(statement)
        if copy:
            self._table = (copy[1] or copy[2]).decode(errors="replace")
            self._hash, self._lines = hashlib.sha256(), 0
        elif _LARGE_OBJECTS.match(statement):
            self._large_objects.update(statement + b"\n")
            self._large_object_lines += 1
        elif sequence := _SEQUENCE.match(statement):
            self.sequences[sequence[1].decode(errors="replace")] = f"{sequence[2].decode()} {sequence[3].decode()}"


def differences(archive: dict[str, Digest], server: dict[str, Digest]) -> list[str]:
    """Each part in which the two scripts differ, as a sentence; empty where they are equal."""
    wrong = []
    for name in sorted(archive.keys() | server.keys()):
        if name not in server:
            wrong.append(f"{name} is in the archive and not in the restored database")
        elif name not in archive:
            wrong.append(f"{name} is in the restored database and not in the archive")
        elif archive[name] != server[name]:
            wrong.append(
                f"{name}: the restored contents differ ({archive[name].lines} lines, {server[name].lines} restored)"
            )
    return wrong
