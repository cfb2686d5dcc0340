"""How acts are run: each is timed, and ends with what it proved or with what went wrong."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from demo.terminal import Terminal

NEVER_ENDED = "was not played to its end"


class ActFailed(Exception):
    """An act did not end as it should have; says how."""


@dataclass
class Act:
    """One act: what it proved, once it has, and how long it took."""

    title: str
    proven: str = NEVER_ENDED
    ok: bool = False
    seconds: float = 0.0


class Stage(Protocol):
    """Where drkit is set up."""

    def drkit(self, *arguments: str) -> int:
        """Run the real command as a user would, its output going where ours goes; its status."""
        ...


S = TypeVar("S", bound=Stage)


@dataclass
class Play(Generic[S]):
    """All acts so far."""

    stage: S
    terminal: Terminal
    acts: list[Act]

    @contextmanager
    def act(self, title: str) -> Iterator[Act]:
        """One act, for the time of the body, which says in the end what it proved.

        Raises:
            ActFailed: as the body does.
        """
        this = Act(title)
        self.acts.append(this)
        self.terminal.heading(title)
        began = time.monotonic()
        try:
            yield this
            this.ok = True
        except ActFailed as error:
            this.proven = str(error)
            raise
        finally:
            this.seconds = time.monotonic() - began

    def drkit(self, *arguments: str, expected: int = 0, also: Collection[int] = ()) -> float:
        """Show and run a command; returns the seconds that it took.

        Args:
            arguments: of the command.
            expected: its exit code.
            also: other exit codes that are as good: what a machine's speed decides.

        Raises:
            ActFailed: it ended with another exit code.
        """
        words = shlex.join(["drkit", *arguments])
        self.terminal.command(words)
        began = time.monotonic()
        status = self.stage.drkit(*arguments)
        seconds = time.monotonic() - began
        if status != expected and status not in also:
            raise ActFailed(f"`{words}` ended with exit code {status}, expected {expected}")
        if expected:
            self.terminal.line(f"exit code {status}, as it should be", "green")
        return seconds
