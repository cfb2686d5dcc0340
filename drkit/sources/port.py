"""The port: what a source gives the vault."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol, Self

from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType


class SourceStream(Protocol):
    """A source's bytes on their way; a ``drkit.vault.port.Stream`` that knows what to say of itself afterwards."""

    def fileno(self) -> int:
        """The descriptor to read from, to its end."""
        ...

    def finish(self) -> None:
        """See that what was read is the whole. Raises ``SourceFailed`` where it is not."""
        ...

    def details(self) -> dict[str, Any]:
        """What the descriptor says of this source beside the bytes; valid after ``finish``.

        Where ``lacking`` in it is not empty (what could not be read, with the reason) the source counts as partial.
        """
        ...


class Source(Protocol):
    """One thing that is backed up."""

    @property
    def name(self) -> str:
        """Its name in points, such as ``database/billing``."""
        ...

    @property
    def kind(self) -> str:
        """``database``, ``globals``, …: what ``--only`` and ``drkit backup`` choose by."""
        ...

    @property
    def vaults(self) -> Sequence[str]:
        """The vaults it goes to; it is read once for each of them, at no time for two at once."""
        ...

    @property
    def file_name(self) -> str:
        """The name of its file in the archive."""
        ...

    def open(self) -> AbstractContextManager[SourceStream]:
        """Start reading it. Leaving the body ends and removes whatever was started for it.

        Raises:
            SourceFailed: it cannot be read.
        """
        ...


class MemoryStream:
    """Bytes that are in memory already, as a stream: small things such as descriptors and roles."""

    def __init__(self, content: bytes, details: dict[str, Any] | None = None) -> None:
        self._details = details or {}
        self._content = content
        self._descriptor = os.memfd_create("drkit")
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.lseek(self._descriptor, 0, os.SEEK_SET)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The content, from its beginning."""
        return self._descriptor

    def finish(self) -> None:
        """See that the memory was read to its end, and still holds what was put there.

        Raises:
            SourceFailed: something else in this process wrote or read there, by a descriptor that was not its own.
        """
        at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if at != len(self._content) or os.pread(self._descriptor, at + 1, 0) != self._content:
            raise SourceFailed("what was to be stored has changed in memory", "try again; please report it")

    def details(self) -> dict[str, Any]:
        """As given."""
        return self._details
