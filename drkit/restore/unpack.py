"""A node's files out of the vault into a directory, for whoever rebuilds a server by hand. Nothing lands beside it.

The archive's root stands for the node's own. Directories and files are made one part of a path after the other, each
opened without following links, so that no link, in the archive or put there meanwhile, leads anything out.
"""

from __future__ import annotations

import errno
import os
import posixpath
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from drkit import archive, state
from drkit.archive import Kind
from drkit.errors import TargetNotEmpty, VerificationFailed

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.archive import Content, Entry, Source

_PIECE = 256 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNER_BITS = 0o700


def unpack(source: Source, into: Path) -> list[Path]:
    """Write an archive's entries below ``into``, readable by whoever runs this alone; modes are otherwise kept.

    Links lead within ``into`` as they led on the node, absolute ones too. Owners are not kept.

    Args:
        source: the archive.
        into: a directory; made where it is not there.

    Returns:
        The files that were written.

    Raises:
        TargetNotEmpty: ``into`` holds something; nothing was written.
        VerificationFailed: the archive is damaged or hostile; what came before is there.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise TargetNotEmpty(f"{into} is not empty; nothing was written", "choose an empty directory")
    written: list[Path] = []
    modes: dict[str, int] = {}
    root = os.open(into, _DIRECTORY)
    try:
        for entry, content in archive.entries(source):
            _write(root, entry, content)
            if entry.kind is Kind.DIRECTORY:
                modes[entry.name] = entry.mode
            else:
                written.append(into / entry.name)
        # Last, and from the innermost: a directory may be one that its owner cannot write to.
        for name in sorted(modes, reverse=True):
            with ExitStack() as stack:
                os.fchmod(_enter(stack, root, name.split("/")), modes[name] & _OWNER_BITS | 0o500)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}:
            raise VerificationFailed(f"the archive's names contradict each other: {error.filename}") from None
        raise
    finally:
        os.close(root)
    state.sync_directory(into)
    return written


def _enter(stack: ExitStack, root: int, parts: list[str]) -> int:
    """The directory of these parts below ``root``; what is missing of it is made."""
    here = root
    for part in parts:
        with suppress(FileExistsError):
            os.mkdir(part, mode=0o700, dir_fd=here)
        here = os.open(part, _DIRECTORY, dir_fd=here)
        stack.callback(os.close, here)
    return here


def _write(root: int, entry: Entry, content: Content) -> None:
    *parts, last = entry.name.split("/")
    with ExitStack() as stack:
        match entry.kind:
            case Kind.DIRECTORY:
                _enter(stack, root, [*parts, last])
            case Kind.FILE:
                handle = os.open(last, _NEW_FILE, mode=0o600, dir_fd=_enter(stack, root, parts))
                with os.fdopen(handle, "wb") as file:
                    while block := content.read(_PIECE):
                        file.write(block)
                    file.flush()
                    os.fchmod(file.fileno(), entry.mode & _OWNER_BITS)
                    os.fsync(file.fileno())
            case Kind.SYMLINK:
                os.symlink(contained(entry.name, entry.target), last, dir_fd=_enter(stack, root, parts))
            case Kind.OTHER:
                raise VerificationFailed(f"the archive holds {entry.name!r}, which is neither file, directory nor link")


def contained(name: str, target: str) -> str:
    """Where a link leads so that it leads to the same file below another root; ".." ends at that root, as at "/"."""
    here = posixpath.dirname(f"/{name}")
    there = posixpath.normpath(posixpath.join(here, target))
    return posixpath.relpath("/" + there.lstrip("/"), here)
