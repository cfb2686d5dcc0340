"""Streams to store, and reading them back."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.vault.port import Vault

NAME = "docfast.20260301T120000Z-abc123.database-billing-0123abcd"
"""A name as drkit makes it."""


def name(number: int) -> str:
    """Names as drkit makes them, one for each number, in the order in which runs would make them."""
    return f"docfast.20260301T1200{number:02d}Z-abc123.point"


class ContentStream:
    """Bytes that are there already."""

    def __init__(self, file: IO[bytes], *, whole: bool) -> None:
        self._file = file
        self._whole = whole

    def fileno(self) -> int:
        """Where the bytes are."""
        return self._file.fileno()

    def finish(self) -> None:
        """Say that this was all of it, or that it was not."""
        if not self._whole:
            raise SourceFailed("the source went away in the middle")


@contextmanager
def stream(content: bytes, *, whole: bool = True) -> Iterator[ContentStream]:
    """A stream with this content, the whole of its source or a part."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield ContentStream(file, whole=whole)


def read(vault: Vault, archive: str) -> bytes:
    """All of an archive's content."""
    blocks: list[bytes] = []
    with vault.open(archive) as reader:
        while block := reader.read(100_000):
            blocks.append(block)
    return b"".join(blocks)
