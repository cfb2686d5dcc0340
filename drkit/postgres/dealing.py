"""The rows of a data script, dealt to several sessions at once: one COPY keeps one processor of the server busy.

A script is what ``pg_restore --section=data --file=-`` prints: settings, ``COPY … FROM stdin`` blocks, sequence
values, large objects. In COPY's text format a line is a row (PostgreSQL, "COPY", "Text Format"), so a table's lines
may go to any session, and the order of rows in a table means nothing.
"""

from __future__ import annotations

import queue
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from drkit.errors import RestoreFailed
from drkit.process import tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_COPY = re.compile(rb"^COPY .+ FROM stdin;$", re.DOTALL)
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_END = b"\\.\n"
_FOR_EVERY_SESSION = (b"SET ", b"SELECT pg_catalog.set_config(")
_COMMENT = (b"--", b"\\restrict ", b"\\unrestrict ")
"""Lines that are for people, or for psql alone."""
_WAITING = 4
"""Blocks that may wait for a session, so that memory stays small."""
_STOP_SECONDS = 10.0


class _Abandoned(Exception):
    """Leaves a COPY without completing it."""


class Worker(Protocol):
    """What a dealer gives its pieces to, each in order."""

    @property
    def error(self) -> Exception | None:
        """What went wrong."""
        ...

    def execute(self, statement: bytes) -> None:
        """Run a statement."""
        ...

    def copy(self, statement: bytes, rows: bytes) -> None:
        """Give rows, or a part of one, to a COPY."""
        ...

    def waiting(self) -> int:
        """How many pieces it has yet to take."""
        ...

    def finish(self) -> None:
        """Wait until everything is done."""
        ...


class Session(threading.Thread):
    """One connection and what is to be done on it, in order. Statements run alone; rows of a table share one COPY."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(name="load", daemon=True)
        self.error: Exception | None = None
        self._connection = connection
        self._ended = False
        self._todo: queue.Queue[tuple[bytes, bytes | None] | None] = queue.Queue(_WAITING)
        self.start()

    def execute(self, statement: bytes) -> None:
        """Run a statement."""
        self._todo.put((statement, None))

    def copy(self, statement: bytes, rows: bytes) -> None:
        """Give rows, or a part of one, to a COPY."""
        self._todo.put((statement, rows))

    def waiting(self) -> int:
        """How many blocks it has yet to take."""
        return self._todo.qsize()

    def finish(self) -> None:
        """Wait until everything is done."""
        self._todo.put(None)
        self.join()
        self._connection.close()

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self.error = self.error or _Abandoned()
        with suppress(Exception):
            self._connection.cancel()
        with suppress(queue.Full):
            self._todo.put(None, timeout=_STOP_SECONDS)
        self.join(_STOP_SECONDS)
        if not self.is_alive():
            self._connection.close()

    def run(self) -> None:
        """Take what comes; after an error only to throw it away, so that nobody waits."""
        try:
            task = self._next()
            while task is not None:
                task = self._one(*task)
        except Exception as error:  # noqa: BLE001 - reported by whoever waits for this session
            self.error = self.error or error
            while not self._ended:
                self._next()

    def _next(self) -> tuple[bytes, bytes | None] | None:
        task = self._todo.get()
        self._ended = task is None
        return task

    def _one(self, statement: bytes, rows: bytes | None) -> tuple[bytes, bytes | None] | None:
        """Run one statement, with all rows that follow for it; returns the task after it."""
        if rows is None:
            self._connection.execute(statement)
            return self._next()
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(rows)
            while (task := self._next()) is not None and task[0] == statement and task[1] is not None:
                copy.write(task[1])
            if self.error is not None:
                raise self.error
        return task


class Dealer:
    """Takes a data script in blocks of any size and gives each piece to a session."""

    def __init__(self, sessions: Sequence[Worker]) -> None:
        self._sessions = sessions
        self._session = sessions[0]
        self._pending = b""
        self._copy: bytes | None = None
        self._line_begins = True
        self._statement = b""

    def feed(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            RestoreFailed: the server refused something.
        """
        self._see_errors()
        data = self._pending + block
        more = True
        while data and more:
            data, more = self._outside(data) if self._copy is None else self._rows(self._copy, data)
        self._pending = data

    def end(self) -> None:
        """See that the script and every session came to their ends.

        Raises:
            RestoreFailed: they did not.
        """
        if self._copy is not None or self._pending or self._statement:
            raise RestoreFailed("pg_restore's script ended in the middle")
        for session in self._sessions:
            session.finish()
        self._see_errors()

    def _see_errors(self) -> None:
        for session in self._sessions:
            if session.error is not None:
                raise RestoreFailed(f"loading failed: {tail(str(session.error))}")

    def _rows(self, copy: bytes, data: bytes) -> tuple[bytes, bool]:
        """Deal rows up to the end mark, keeping back what may be its beginning."""
        if self._line_begins and data.startswith(_END):
            end = 0
        else:
            # Most blocks have no backslash at all, which is known a hundred times sooner.
            found = data.find(b"\n" + _END) if b"\\" in data else -1
            end = -1 if found < 0 else found + 1
        if end >= 0:
            self._deal(copy, data[:end])
            self._copy = None
            return data[end + len(_END) :], True
        keep = len(_END)
        if len(data) > keep:
            self._deal(copy, data[:-keep])
            return data[-keep:], False
        return data, False

    def _deal(self, copy: bytes, piece: bytes) -> None:
        """The rest of a row goes where its beginning went, whole rows to the session with the least to do."""
        if not self._line_begins:
            rest = piece.find(b"\n") + 1 or len(piece)
            self._give(copy, piece[:rest])
            piece = piece[rest:]
        if piece:
            self._session = min(self._sessions, key=lambda session: session.waiting())
            self._give(copy, piece)

    def _give(self, copy: bytes, piece: bytes) -> None:
        self._session.copy(copy, piece)
        self._line_begins = piece.endswith(b"\n")

    def _outside(self, data: bytes) -> tuple[bytes, bool]:
        end = data.find(b"\n")
        if end < 0:
            return data, False
        line, rest = data[: end + 1], data[end + 1 :]
        if not self._statement and (line == b"\n" or line.startswith(_COMMENT)):
            return rest, True
        # A name in double quotes and a string in single ones may hold newlines.
        self._statement += line
        if not line.endswith(b";\n") or _quote_is_open(self._statement):
            return rest, True
        statement, self._statement = self._statement.rstrip(b"\n"), b""
        if _COPY.match(statement):
            self._copy, self._line_begins = statement, True
        else:
            everywhere = statement.startswith(_FOR_EVERY_SESSION)
            for session in self._sessions if everywhere else self._sessions[:1]:
                session.execute(statement)
        return rest, True


def _quote_is_open(statement: bytes) -> bool:
    """Whether a name or a string goes on; a doubled quote inside ends one and begins the next, which is the same."""
    rest = _QUOTED.sub(b"", statement)
    return b'"' in rest or b"'" in rest
