"""The port: what drkit asks of a vault, and the plain values that go through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Archive:
    """One archive in the vault's index: its name and Borg's id for it (hex; it changes with any of its content)."""

    name: str
    archive_id: str


@dataclass(frozen=True)
class StoredArchive:
    """What was stored: the archive, the stream's size in bytes, its SHA-256 (hex), and the bytes new to the vault."""

    archive: Archive
    size: int
    sha256: str
    added: int


class Stream(Protocol):
    """Bytes on their way into the vault. Nothing is sealed unless ``finish`` returned."""

    def fileno(self) -> int:
        """The descriptor to read from, to its end."""
        ...

    def finish(self) -> None:
        """Called at the end of the bytes, before they are sealed.

        Raises:
            SourceFailed: what was read is not the whole; the vault then keeps none of it.
        """
        ...


class Reader(Protocol):
    """Bytes on their way out of the vault."""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end.

        Raises:
            DrkitError: the archive is damaged or the vault went away; seen at the latest at the end.
        """
        ...


class Vault(Protocol):
    """A place for archives. Every method raises the ``DrkitError`` that fits what went wrong."""

    @property
    def name(self) -> str:
        """The name in the configuration: ``cluster`` or ``databases``."""
        ...

    @property
    def identity(self) -> str:
        """A short stable name of the place, fit for a file name: for locks and records."""
        ...

    def create(self) -> bool:
        """Make the repository unless there is one; whether it was made."""
        ...

    def archives(self) -> tuple[Archive, ...]:
        """All archives, oldest first.

        Raises:
            NoRepository: the place answers and holds none.
        """
        ...

    def comments(self, names: Iterable[str]) -> Mapping[str, str]:
        """The comment of each named archive, by name; names that are not there are left out."""
        ...

    def prepare(self, name: str, *, file_name: str) -> None:
        """Start what can be started of a later ``store`` without a comment, while others are stored.

        It takes no lock, and what is prepared and never stored leaves nothing.
        """
        ...

    def drop_prepared(self) -> None:
        """End what was prepared and is not wanted any more."""
        ...

    def store(
        self,
        name: str,
        stream: Stream,
        *,
        file_name: str,
        comment: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> StoredArchive:
        """Store a stream as an archive of one file: wholly, or not at all.

        Args:
            name: the archive's name.
            stream: where the bytes come from.
            file_name: the name of the file in the archive.
            comment: kept with the archive and read by ``comments``.
            progress: told the number of bytes so far, now and then.
        """
        ...

    def open(self, name: str) -> AbstractContextManager[Reader]:
        """The content of an archive's files, one after the other."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Remove archives in the given order; those that are not there are no error. Frees no room yet."""
        ...

    def compact(self) -> None:
        """Free the room of what was deleted."""
        ...

    def check(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Read the whole repository and every archive's metadata.

        Raises:
            VerificationFailed: something is damaged.
        """
        ...
