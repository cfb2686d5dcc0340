"""Out of the vault: one pass over an archive, its checksum seen before its end counts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from drkit.observe.progress import Task
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Reader, Vault

_BLOCK = 256 * 1024
"""Small enough that the allocator reuses the memory: with 1 MiB each block costs a page fault for every page."""


def feed(
    vault: Vault,
    source: SourceEntry,
    write: Callable[[bytes], object],
    task: Task | None = None,
    opened: AbstractContextManager[Reader] | None = None,
) -> None:
    """Read a source's archive to its end, giving every block to ``write``, and compare it with the descriptor.

    The last block is given only after the comparison: a program that acts at the end of its input, such as pg_restore
    committing its transaction, never comes to that end with what was not sealed.

    Args:
        vault: where the archive is.
        source: as the descriptor has it.
        write: takes the blocks.
        task: told the bytes so far.
        opened: the archive, where it was opened ahead.

    Raises:
        VerificationFailed: it is not what was sealed.
    """
    digest = hashlib.sha256()
    size = 0
    with opened or vault.open(source.archive) as reader:
        held = b""
        while block := reader.read(_BLOCK):
            if held:
                write(held)
            held = block
            digest.update(block)
            size += len(block)
            if task is not None:
                task.update(size, source.size)
    compare(source, size, digest.hexdigest())
    write(held)


class Whole:
    """An archive on its way out that has an end only where it is what was sealed: for who reads it piece by piece.

    Args:
        reader: the opened archive.
        source: as the descriptor has it.
    """

    def __init__(self, reader: Reader, source: SourceEntry) -> None:
        self._reader, self._source = reader, source
        self._count, self._digest = 0, hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end.

        Raises:
            VerificationFailed: it ends, and is not what was sealed.
        """
        block = self._reader.read(size)
        self._count += len(block)
        self._digest.update(block)
        if self._count > self._source.size or (size and not block):
            compare(self._source, self._count, self._digest.hexdigest())
        return block


def compare(source: SourceEntry, size: int, sha256: str) -> None:
    """Compare what an archive gave with what was sealed.

    Raises:
        VerificationFailed: it is not the same.
    """
    if (size, sha256) != (source.size, source.sha256):
        raise VerificationFailed(
            f"{source.name}: the archive {source.archive} is not what was sealed "
            f"({size} bytes, SHA-256 {sha256}; expected {source.size}, {source.sha256})",
            "choose another recovery point (drkit points) and look at the vault: drkit verify",
        )


def discard(_: bytes) -> None:
    """For reading only to compare."""
