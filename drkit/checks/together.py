"""Checks side by side, each with an end to its patience: one that hangs does not keep the others."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit import process
from drkit.checks.result import Look, Result, Seen
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Iterable

_AT_ONCE = 12


@dataclass
class Begun:
    """A check that runs."""

    look: Look
    result: Result | None = None
    began: float = 0.0
    """By the monotonic clock."""
    running: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def end(self) -> Result:
        """How it ended; what takes longer than it may is given up, and goes on unheard until drkit ends."""
        self.running.wait()
        self.done.wait(max(0.0, self.began + self.look.seconds - time.monotonic()))
        if self.result is not None:
            return self.result
        said = f"no answer within {self.look.seconds:.0f} s"
        hint = "see that it is up and reached without loss, then try again"
        if self.look.warns:
            return Result(self.look.what, ok=True, said=said, hint=hint, warning=True)
        return Result(self.look.what, ok=False, said=said, hint=hint, exit_code=self.look.late_code)


class Together:
    """Starts checks; no more than some run at a time."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(_AT_ONCE)

    def begin(self, looks: Iterable[Look]) -> list[Begun]:
        """Start them, in this order."""
        begun = [Begun(each) for each in looks]
        for each in begun:
            threading.Thread(target=self._run, args=(each,), name=each.look.what, daemon=True).start()
        return begun

    def _run(self, begun: Begun) -> None:
        with self._places:
            begun.began = time.monotonic()
            begun.running.set()
            # One that hangs gives up its place when its time is over.
            over = threading.Timer(begun.look.seconds, self._places.release)
            over.daemon = True
            over.start()
            begun.result = tried(begun.look)
            begun.done.set()
            if over.is_alive():
                over.cancel()
            else:
                self._places.acquire()


def tried(look: Look) -> Result:
    """One check, here and now."""
    try:
        seen = look.action()
    except DrkitError as error:
        return _wrong(look, error)
    except (process.DeadlineExceeded, OSError) as error:
        return _wrong(look, DrkitError(str(error)))
    if isinstance(seen, str):
        seen = Seen(seen)
    return Result(look.what, ok=True, said=seen.said, hint=seen.hint, warning=seen.warning, skipped=seen.skipped)


def _wrong(look: Look, error: DrkitError) -> Result:
    if look.warns:
        return Result(look.what, ok=True, said=error.message, hint=error.hint, warning=True)
    return Result(look.what, ok=False, said=error.message, hint=error.hint, exit_code=error.exit_code)
