"""Where drkit keeps what it remembers on this machine, and its locks there."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def state_dir() -> Path:
    """What must outlive the machine's reboot: journals, records of runs (XDG base directory rules)."""
    return _private(_base("XDG_STATE_HOME", ".local/state") / "drkit")


def cache_dir() -> Path:
    """What can be had again from the vault."""
    return _private(_base("XDG_CACHE_HOME", ".cache") / "drkit")


def _base(variable: str, below_home: str) -> Path:
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path.home() / below_home


def _private(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_durably(path: Path, text: str, *, mode: int = 0o600, like: Path | None = None) -> None:
    """Replace ``path`` by a file with ``text``; after a crash it is the old or the new.

    Args:
        path: the file; where it is a link, that is replaced.
        text: what it shall hold.
        mode: permission bits; by default its owner alone can read it.
        like: a file whose owner and mode it gets instead.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if like is not None:
                found = like.stat()
                mode = stat.S_IMODE(found.st_mode)
                if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(handle, found.st_uid, found.st_gid)
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_strings(path: Path) -> dict[str, str]:
    """The JSON object of strings in ``path``; empty where it is not there or is none, as after a crash or by hand."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def sync_directory(path: Path) -> None:
    """Make a rename or creation in ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def exclusive(
    name: str, doing: str, wait: float, refused: Callable[[str], Exception], waiting: Callable[[str], None]
) -> Iterator[None]:
    """Hold the machine-wide lock ``name`` for the body; the kernel frees it when the holder dies, however it dies.

    Args:
        name: what is locked; any text without a slash.
        doing: what the holder does, shown to whoever has to wait.
        wait: seconds to wait for another holder.
        refused: makes the error to raise when the time is over, from a description of the holder.
        waiting: told once, with the same description, when there is something to wait for.
    """
    directory = _private(state_dir() / "locks")
    with (directory / f"{name}.lock").open("a+", encoding="utf-8") as file:
        _acquire(file, wait, refused, waiting)
        file.seek(0)
        file.truncate()
        json.dump(
            {"pid": os.getpid(), "doing": doing, "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, file
        )
        file.flush()
        yield


def holder(name: str) -> str | None:
    """Who holds the machine-wide lock ``name``, described; None where nobody does."""
    try:
        file = (state_dir() / "locks" / f"{name}.lock").open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        try:
            # Shared, and for a moment: two who look do not take each other for holders.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _describe(file)
    return None


def _acquire(file: IO[str], wait: float, refused: Callable[[str], Exception], waiting: Callable[[str], None]) -> None:
    # flock has no time-out of its own, and a blocking call in a thread could not be taken back: so it is polled.
    until = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _describe(file)
            if time.monotonic() >= until:
                raise refused(who) from None
            if not told:
                waiting(who)
                told = True
            time.sleep(0.1)
        else:
            return


def _describe(file: IO[str]) -> str:
    file.seek(0)
    try:
        who: dict[str, Any] = json.load(file)
        return f"process {who['pid']} ({who['doing']}, since {who['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
