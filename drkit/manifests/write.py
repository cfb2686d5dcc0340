"""An export as files in a directory, for whoever wants to look, or to apply them by hand."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from drkit import state
from drkit.errors import TargetNotEmpty
from drkit.manifests.read import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any


def write_out(read: Callable[[int], bytes], details: Mapping[str, Any], directory: Path) -> int:
    """Write all files of an export, readable by their owner alone, and return how many; all of them or none.

    Args:
        read: the archive's bytes, up to so many at a time, as ``Whole.read`` checks them.
        details: as the descriptor has them.
        directory: to be made; its parent is there.

    Raises:
        TargetNotEmpty: it is there already.
        VerificationFailed: the archive is not what was sealed; nothing is written then.
    """
    if os.path.lexists(directory):
        raise TargetNotEmpty(f"{directory} is there already; nothing was written", "choose another directory")
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a run left that was killed
    partial.mkdir(mode=0o700)
    count = 0
    try:
        for path, pieces in files(read, details):
            place = partial / path
            _directory(place.parent)
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
            count += 1
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    state.sync_directory(directory.parent)
    return count


def _directory(path: Path) -> None:
    """Make a directory and those above it, each private: ``Path.mkdir`` gives its mode to the last one alone."""
    if not path.exists():
        _directory(path.parent)
        path.mkdir(mode=0o700)
