"""Progress on stderr: bars on a terminal, plain lines elsewhere. stdout belongs to results."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

from drkit.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from drkit.observe.log import JsonReporter

_LINE_EVERY_SECONDS = 10.0


class Task(Protocol):
    """One piece of long work."""

    def update(self, done: int, total: int | None = None) -> None:
        """So many bytes so far, of so many where that is known."""
        ...


class Reporter(Protocol):
    """Whom the work tells how it goes."""

    def task(self, name: str) -> AbstractContextManager[Task]:
        """A piece of work for the time of a ``with`` body."""
        ...

    def note(self, text: str) -> None:
        """Something worth knowing."""
        ...

    def warn(self, text: str) -> None:
        """Something that should be looked at."""
        ...


def size(count: float) -> str:
    """Bytes for people: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - a kilo
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def make_reporter() -> TerminalReporter | PlainReporter | JsonReporter:
    """The one that fits what stderr is, or that the environment asks for."""
    from drkit.observe import log  # noqa: PLC0415 - help and terminals do not wait for it

    if log.asked_for_json():
        return log.JsonReporter()
    return TerminalReporter() if sys.stderr.isatty() else PlainReporter()


class _Silent:
    def update(self, done: int, total: int | None = None) -> None:
        """Nobody is told."""


class PlainReporter:
    """Lines, for logs and pipes: a beginning, an end, and in long work one every ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return

    @contextmanager
    def task(self, name: str) -> Iterator[Task]:
        """A piece of work for the time of the body."""
        started = time.monotonic()
        task = _PlainTask(self, name)
        try:
            yield task
        except BaseException:
            self.note(f"{name}: failed after {time.monotonic() - started:.1f} s")
            raise
        moved = f", {size(task.done)}" if task.done else ""
        self.note(f"{name}: done in {time.monotonic() - started:.1f} s{moved}")

    def note(self, text: str) -> None:
        """A line on stderr."""
        with self._lock:
            print(mask(text), file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints

    def warn(self, text: str) -> None:
        """A line on stderr."""
        self.note(f"warning: {text}")


class _PlainTask:
    def __init__(self, reporter: PlainReporter, name: str) -> None:
        self.done = 0
        self._reporter, self._name = reporter, name
        self._said = time.monotonic()

    def update(self, done: int, total: int | None = None) -> None:
        self.done = done
        if time.monotonic() - self._said > _LINE_EVERY_SECONDS:
            of = f" of {size(total)}" if total else ""
            self._reporter.note(f"{self._name}: {size(done)}{of}")
            self._said = time.monotonic()


class TerminalReporter:
    """Bars, while the work lasts."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415 - not paid for by commands that show no bar
        from rich.progress import (  # noqa: PLC0415 - see above
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def task(self, name: str) -> Iterator[Task]:
        """A bar for the time of the body; it stays, full, behind finished work."""
        if self._progress is None:
            yield _Silent()
            return
        from rich.markup import escape  # noqa: PLC0415 - see __enter__

        bar = self._progress.add_task(escape(mask(name)), total=None)
        task = _Bar(self._progress, bar)
        try:
            yield task
        except BaseException:
            self._progress.update(bar, description=f"[red]{escape(mask(name))} failed[/red]")
            raise
        if task.done:
            self._progress.update(bar, total=task.done, completed=task.done)
        else:
            self._progress.update(bar, visible=False)
            self.note(f"{name}: done")

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._print(text, "")

    def warn(self, text: str) -> None:
        """A yellow line above the bars."""
        self._print(f"warning: {text}", "yellow")

    def _print(self, text: str, style: str) -> None:
        from rich.console import Console  # noqa: PLC0415 - see __enter__

        console = self._progress.console if self._progress is not None else Console(stderr=True)
        console.print(mask(text), style=style or None, markup=False, highlight=False)


class _Bar:
    def __init__(self, progress: Progress, bar: TaskID) -> None:
        self.done = 0
        self._progress, self._bar = progress, bar

    def update(self, done: int, total: int | None = None) -> None:
        self.done = done
        self._progress.update(self._bar, completed=done, total=total)
