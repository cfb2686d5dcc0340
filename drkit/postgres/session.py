"""What the code that reads a database needs of a connection: ask a statement, get rows. psycopg's is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = tuple[Any, ...]

LOCK_NOT_AVAILABLE = "55P03"
UNDEFINED_TABLE = "42P01"
OBJECT_IN_USE = "55006"
DUPLICATE_DATABASE = "42P04"
DUPLICATE_OBJECT = "42710"
WRONG_OBJECT_TYPE = "42809"
INVALID_PARAMETER_VALUE = "22023"
UNTRANSLATABLE_CHARACTER = "22P05"
"""https://www.postgresql.org/docs/17/errcodes-appendix.html"""


class StatementFailed(Exception):
    """The server refused a statement, or the connection to it was lost.

    Args:
        message: what was said.
        sqlstate: empty where the server said nothing.
        lost: the way to it was cut, or its machine does not answer: it may be there again after a while.
    """

    def __init__(self, message: str, sqlstate: str = "", *, lost: bool = False) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.lost = lost


class Rows(Protocol):
    """What a statement answered."""

    def fetchone(self) -> Row | None:
        """The next row; nothing where there is none."""
        ...

    def fetchall(self) -> Sequence[Row]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Row]: ...


class Session(Protocol):
    """A connection on which one statement follows another."""

    def execute(self, query: str, /) -> Rows:
        """Run one statement to its end.

        Numbers, texts, truth values, nulls, arrays and JSON come as what they are in Python.
        """
        ...


class OwnSession(Session, Protocol):
    """A session of drkit's own beside a dump; it raises ``StatementFailed``."""

    def cancel(self) -> None:
        """End the statement that runs, from another thread."""
        ...

    def close(self) -> None:
        """End the session."""
        ...
