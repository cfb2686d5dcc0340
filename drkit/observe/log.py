"""What programs say while they work: a line of JSON each for machines, plain lines for people.

A line of JSON is an object with at least ``time`` (RFC 3339, UTC, milliseconds), ``level`` and ``message``; what else
it has is named where it is said, such as ``job``, ``task``, ``seconds``, ``bytes``, ``code``, ``hint``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

from drkit.clock import SystemClock
from drkit.masking import mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from types import TracebackType

    from drkit.clock import Clock
    from drkit.observe.progress import Task

FORMAT = "DRKIT_LOG"
"""The environment variable that says how: ``json`` or ``text``."""
_LINE_EVERY_SECONDS = 10.0


class Level(StrEnum):
    """How much somebody should care."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Log(Protocol):
    """Who is told."""

    def say(self, level: Level, message: str, **fields: Any) -> None:
        """One line; ``fields`` are plain JSON, and None is left out."""
        ...


def asked_for_json() -> bool:
    """Whether the environment wants JSON."""
    return os.environ.get(FORMAT, "").lower() == "json"


def make_log() -> Log:
    """For a service: as the environment says, else JSON wherever no person watches."""
    chosen = os.environ.get(FORMAT, "").lower() or ("text" if sys.stderr.isatty() else "json")
    return JsonLog() if chosen == "json" else TextLog()


def line(moment: datetime, level: Level, message: str, fields: dict[str, Any]) -> str:
    """A line of JSON, without its end. Secrets are masked."""
    stamp = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {name: value for name, value in fields.items() if value is not None}
    return mask(json.dumps({"time": stamp, "level": level, "message": message, **said}, ensure_ascii=False))


def parse(text: str) -> tuple[Level, str, dict[str, Any]]:
    """The level, message and fields of what another program said, in whatever form it said it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "message" not in found:
        return Level.INFO, text, {}
    level = found.pop("level", "")
    message = str(found.pop("message"))
    found.pop("time", None)
    return (
        Level(level) if level in set(Level) else Level.INFO,
        message,
        {str(name): each for name, each in found.items()},
    )


class JsonLog:
    """A line of JSON each."""

    def __init__(self, stream: IO[str] | None = None, clock: Clock | None = None) -> None:
        self._stream, self._clock = stream, clock or SystemClock()
        self._lock = threading.Lock()

    def say(self, level: Level, message: str, **fields: Any) -> None:
        """One line."""
        _write(self._stream, self._lock, line(self._clock.now(), level, message, fields))


class TextLog:
    """Lines for people, in local time; of the fields only the job is shown."""

    def __init__(self, stream: IO[str] | None = None, clock: Clock | None = None) -> None:
        self._stream, self._clock = stream, clock or SystemClock()
        self._lock = threading.Lock()

    def say(self, level: Level, message: str, **fields: Any) -> None:
        """One line."""
        when = self._clock.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        job = f"{fields['job']}: " if fields.get("job") else ""
        mark = "" if level is Level.INFO else f"{level}: "
        _write(self._stream, self._lock, mask(f"{when} {job}{mark}{message}"))


def _write(stream: IO[str] | None, lock: threading.Lock, text: str) -> None:
    with lock:
        print(text, file=stream or sys.stderr, flush=True)


class JsonReporter:
    """How work goes, as lines of JSON: each piece's end, and in long work one every ten seconds."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or JsonLog()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return

    @contextmanager
    def task(self, name: str) -> Iterator[Task]:
        """A piece of work for the time of the body."""
        task = _Task(self._log, name)
        try:
            yield task
        except BaseException:
            task.say(Level.ERROR, "failed")
            raise
        task.say(Level.INFO, "done")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._log.say(Level.INFO, text)

    def warn(self, text: str) -> None:
        """Something that should be looked at."""
        self._log.say(Level.WARNING, text)


class _Task:
    def __init__(self, log: Log, name: str) -> None:
        self._log, self._name = log, name
        self._begin = self._said = time.monotonic()
        self._done = 0
        self._total: int | None = None

    def update(self, done: int, total: int | None = None) -> None:
        self._done, self._total = done, total
        if time.monotonic() - self._said > _LINE_EVERY_SECONDS:
            self.say(Level.INFO, "at work")
            self._said = time.monotonic()

    def say(self, level: Level, how: str) -> None:
        seconds = round(time.monotonic() - self._begin, 3)
        self._log.say(
            level,
            f"{self._name}: {how}",
            task=self._name,
            seconds=seconds,
            bytes=self._done or None,
            total_bytes=self._total,
        )
