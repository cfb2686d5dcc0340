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
    if size != source.size or digest.hexdigest() != source.sha256:
        raise VerificationFailed(
            f"{source.name}: the archive {source.archive} is not what was sealed "
            f"({size} bytes, SHA-256 {digest.hexdigest()}; expected {source.size}, {source.sha256})",
            "choose another recovery point (drkit points) and look at the vault: drkit verify",
        )
    write(held)


def discard(_: bytes) -> None:
    """For reading only to compare."""
