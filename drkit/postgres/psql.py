"""A session held by a psql at the other end of a stream, for servers that are reached from their own pod alone.

psql prints what it is asked as JSON, row by row, so that what comes back is typed and no text can be taken for
another; after each statement it prints a random marker and how the statement ended.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

from drkit.errors import SourceFailed
from drkit.postgres.session import StatementFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from drkit.cluster.kube import Execution
    from drkit.postgres.session import Row

ARGUMENTS = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password")
_BLOCK = 64 * 1024
_QUERIES = ("select", "with", "values", "table")


class Answer:
    """The rows of one statement, in memory."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = deque(rows)

    def fetchone(self) -> Row | None:
        """The next row; nothing where there is none."""
        return self._rows.popleft() if self._rows else None

    def fetchall(self) -> list[Row]:
        """The rows that are left."""
        return list(self)

    def __iter__(self) -> Iterator[Row]:
        while self._rows:
            yield self._rows.popleft()


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON before it is known whether it is a row, whose columns may have equal names, or a value."""


def script(query: str, marker: str) -> str:
    """What psql is told, so that it answers ``query`` with rows in JSON and says how it ended. Pure."""
    if query.split(maxsplit=1)[0].lower() in _QUERIES:
        query = f"select pg_catalog.row_to_json(drkit_row) from ({query}\n) as drkit_row"  # noqa: S608 - the caller's own
    ending = f"\\echo {marker} :ERROR :SQLSTATE\n\\echo :LAST_ERROR_MESSAGE\n\\echo {marker}\n"
    return f"{query}\n;\n{ending}"


def row(line: str) -> Row:
    """A row from its JSON. Pure."""
    return tuple(_value(value) for _, value in json.loads(line, object_pairs_hook=_Pairs))


def _value(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _value(each) for name, each in value}
    return [_value(each) for each in value] if isinstance(value, list) else value


class PsqlSession:
    """A session over a running psql that has ``ARGUMENTS``.

    Args:
        running: the psql.
        cut: cuts it off, from another thread.
        end: ends it and what was opened for it.
    """

    def __init__(self, running: Execution, cut: Callable[[], None], end: Callable[[], None]) -> None:
        self._running, self._cut, self._end = running, cut, end
        self._lines: deque[bytes] = deque()
        self._rest = b""

    def execute(self, query: str, /) -> Answer:
        """Run one statement to its end.

        Raises:
            StatementFailed: the server refused it, or psql has ended.
        """
        marker = f"drkit-{secrets.token_hex(16)}"
        try:
            self._running.write(script(query, marker).encode())
        except SourceFailed:
            raise self._ended() from None
        rows = []
        while not (line := self._line()).startswith(marker):
            rows.append(row(line))
        _, failed, state = line.split()
        said = []
        while (line := self._line()) != marker:
            said.append(line)
        if failed != "false":
            raise StatementFailed("\n".join(said), state)
        return Answer(rows)

    def cancel(self) -> None:
        """End psql, and with it the statement that runs."""
        self._cut()

    def close(self) -> None:
        """End it."""
        self._end()

    def _line(self) -> str:
        while not self._lines:
            block = os.read(self._running.fileno(), _BLOCK)
            if not block:
                raise self._ended()
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._lines.extend(lines)
        return self._lines.popleft().decode(errors="replace")

    def _ended(self) -> StatementFailed:
        """Why nothing more comes of it."""
        try:
            self._running.finish()
        except SourceFailed as error:
            return StatementFailed(error.message, lost=error.passes)
        # By itself psql ends well only where its input does. That is also what an API server says of programs whose
        # node has lost its power.
        return StatementFailed("psql ended before it had answered", lost=True)
