"""The port: one kind of probe. A question is put over a connection; who keeps it has a session, who does not, none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Failed(Exception):
    """A question that failed, and why, shortly: ``refused``, ``503``."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class OwnTrouble(Exception):
    """The prober cannot go on: what failed is its own, and no target's."""


@dataclass(frozen=True)
class Reply:
    """A question that was answered as it should be.

    Attributes:
        server: of SQL: the server that answered, as ``10.42.1.5``.
        timeline: of SQL, where it was a primary: its timeline.
    """

    server: str = ""
    timeline: int | None = None


ANSWERED = Reply()
"""Of kinds that have no more to say."""


class Line(Protocol):
    """A connection over which one question follows another. All calls can be cut off at any point."""

    @property
    def in_doubt(self) -> bool:
        """Whether what was asked last may have been done, although no answer to it came."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the other side has ended it, or said that it is about to."""
        ...

    async def ask(self, row: int | None) -> Reply:
        """Put one question, and wait for its whole answer.

        Args:
            row: of kinds that write: the row's number.

        Raises:
            Failed: the answer is not as it should be, or no whole one came. So do ``OSError`` and ``EOFError``.
        """
        ...

    def close(self) -> None:
        """End it, at once."""
        ...


class Kind(Protocol):
    """One target of one kind."""

    @property
    def writes(self) -> bool:
        """Whether each question writes a row."""
        ...

    @property
    def reopens(self) -> bool:
        """Whether every client opens another connection by itself where the other side ended an idle one."""
        ...

    async def open(self) -> Line:
        """A new connection, ready for a question. Raises what ``Line.ask`` does."""
        ...
