"""The process that waits on this machine to put a machine right: see ``LocalWatchdog``. It outlives drkit.

Its input is a JSON document: the note's name, the seconds to wait, and the way to the provider. It prints its number
once it waits, holds the note's lock until it ends, and ends when the note is gone: somebody else has put it right.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from drkit import masking
from drkit.drill.faults import notes
from drkit.errors import DrkitError
from drkit.observe.progress import PlainReporter
from drkit.providers.power import Way, power_of, recall

if TYPE_CHECKING:
    from drkit.drill.faults.notes import Note

_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 5.0
_LONGEST_SECONDS = 6 * 3600.0
"""How long the provider is asked again and again, where it refuses."""


def main() -> int:
    """Wait, and put it right. 0 where that was done, by whomever; 1 where there was nothing to wait for."""
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    job: dict[str, Any] = json.load(sys.stdin)
    way = Way(str(job["provider"]), {key: masking.register(str(value)) for key, value in job["arguments"].items()})
    until = time.monotonic() + float(job["seconds"])
    note = notes.read(str(job["note"]))
    if note is None:
        return 1
    path = notes.path_of(note.name)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
        _let_go()
        while time.monotonic() < until:
            if not _is_same(file.fileno(), note):
                return 0
            time.sleep(_LOOK_SECONDS)
        _put_right(note, way, file.fileno())
    return 0


def _let_go() -> None:
    """Nobody reads what it prints any more, and whoever did must see the end of it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _is_same(descriptor: int, note: Note) -> bool:
    """Whether the note is still there, and not another one of its name."""
    try:
        found = notes.path_of(note.name).stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _put_right(note: Note, way: Way, descriptor: int) -> None:
    until = time.monotonic() + _LONGEST_SECONDS
    while _is_same(descriptor, note) and time.monotonic() < until:
        try:
            recall(power_of(way, PlainReporter()), note.recall)
        except DrkitError:
            time.sleep(_AGAIN_SECONDS)
        else:
            notes.remove(note.name)
            return


if __name__ == "__main__":
    sys.exit(main())
