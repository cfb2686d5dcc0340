"""A vault in memory: small enough to be read in a minute, and honest about what the port promises."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import DrkitError, NoRepository, NoSuchPoint, VerificationFailed
from drkit.vault.port import Archive, StoredArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from drkit.vault.port import Reader, Stream

_BLOCK = 64 * 1024


@dataclass(frozen=True)
class _Kept:
    content: bytes
    comment: str
    archive_id: str
    sha256: str


class MemoryVault:
    """Archives in a dictionary, oldest first."""

    def __init__(self, name: str = "databases") -> None:
        self.name = name
        self.identity = f"memory-{name}"
        self._kept: dict[str, _Kept] | None = None

    def create(self) -> bool:
        """Make the repository unless there is one."""
        if self._kept is not None:
            return False
        self._kept = {}
        return True

    def archives(self) -> tuple[Archive, ...]:
        """All archives, oldest first."""
        return tuple(Archive(name, kept.archive_id) for name, kept in self._repository().items())

    def comments(self, names: Iterable[str]) -> Mapping[str, str]:
        """The comments of the named archives that are there."""
        wanted = set(names)
        return {name: kept.comment for name, kept in self._repository().items() if name in wanted}

    def prepare(self, name: str, *, file_name: str) -> None:
        """Nothing here takes time to start."""

    def drop_prepared(self) -> None:
        """Nothing was prepared."""

    def store(
        self,
        name: str,
        stream: Stream,
        *,
        file_name: str,
        comment: str = "",
        progress: Callable[[int], None] = lambda _: None,
    ) -> StoredArchive:
        """Read the stream to its end and keep it if ``finish`` lets it."""
        repository = self._repository()
        if name in repository:
            raise DrkitError(f"vault {self.name} holds an archive {name} already")
        content = bytearray()
        while block := os.read(stream.fileno(), _BLOCK):
            content += block
            progress(len(content))
        stream.finish()
        sha256 = hashlib.sha256(content).hexdigest()
        archive_id = hashlib.sha256(f"{name}\x00{file_name}\x00{comment}\x00{sha256}".encode()).hexdigest()
        known = {kept.sha256 for kept in repository.values()}
        repository[name] = _Kept(bytes(content), comment, archive_id, sha256)
        added = 0 if sha256 in known else len(content)
        return StoredArchive(Archive(name, archive_id), len(content), sha256, added)

    @contextmanager
    def open(self, name: str) -> Iterator[Reader]:
        """The content of an archive."""
        kept = self._repository().get(name)
        if kept is None:
            raise NoSuchPoint(f"vault {self.name} holds no archive {name}")
        yield io.BytesIO(kept.content)

    def delete(self, names: Sequence[str]) -> None:
        """Remove archives; those that are not there are no error."""
        for name in names:
            self._repository().pop(name, None)

    def compact(self) -> None:
        """There is no room to free."""
        self._repository()

    def check(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Compare every content with its checksum."""
        for name, kept in self._repository().items():
            progress(name)
            if hashlib.sha256(kept.content).hexdigest() != kept.sha256:
                raise VerificationFailed(f"vault {self.name}: the archive {name} is damaged")

    def _repository(self) -> dict[str, _Kept]:
        if self._kept is None:
            raise NoRepository(f"vault {self.name} holds no repository")
        return self._kept
