"""Directories for the time of one piece of work: private, removed at its end, and after a crash by the next run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"drkit-(\d{1,9})-.+")


@contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A new directory below ``parent`` that only its owner can enter; what dead processes left there goes first."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_orphans(parent)
    directory = Path(tempfile.mkdtemp(prefix=f"drkit-{os.getpid()}-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def remove_orphans(parent: Path) -> None:
    """Remove workspaces below ``parent`` whose process is gone. Others' files, which look the same, are left alone."""
    for directory in parent.glob("drkit-*"):
        match = _NAME.fullmatch(directory.name)
        with suppress(OSError):
            is_ours = os.geteuid() == directory.lstat().st_uid
            if match and is_ours and not directory.is_symlink() and not alive(int(match[1])):
                shutil.rmtree(directory, ignore_errors=True)


def alive(pid: int) -> bool:
    """Whether there is a process with this number, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
