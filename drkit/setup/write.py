"""Writes what was rendered, and makes a passphrase; neither ever takes the place of what is there."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from drkit.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_RANDOM_BYTES = 32


def write(path: Path, text: str, *, force: bool) -> None:
    """Put the file in place, whole or not at all.

    Args:
        path: where.
        text: what.
        force: whether one that is there is replaced.

    Raises:
        UsageError: there is one, and nobody said that it is to be replaced.
        ConfigurationError: it cannot be written.
    """
    if not force and (path.exists() or path.is_symlink()):
        raise refused(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8")
            if force:
                beside.replace(path)
            else:
                os.link(beside, path)  # unlike a rename it fails where somebody was faster
        except FileExistsError:
            raise refused(path) from None
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None


def refused(path: Path) -> UsageError:
    """The error for a file that is there."""
    return UsageError(f"{path} is there already, and was not changed", "write elsewhere with --to, or over it: --force")


def make_passphrase(path: Path) -> bool:
    """Make a file with a new passphrase, its owner's alone; False where one is there, which stays as it is.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True
