"""Tar archives as streams: written so that equal contents give equal bytes, read without trusting them.

The reader takes what GNU tar, busybox and this module write. Nothing that grows with the data is held in memory but the
names; what a hostile archive could do with its names ("..", absolute ones, one name twice) ends the reading.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = tarfile.BLOCKSIZE
_PIECE = 256 * 1024
_LONGEST_HEADER_BYTES = 64 * 1024
"""Long names and extended headers come in blocks of their own. Linux ends a path at 4096 bytes."""
_END = bytes(_BLOCK)
_MODE_BITS = 0o7777


class Source(Protocol):
    """Where bytes come from; a ``drkit.vault.port.Reader`` is one."""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        ...


class Kind(Enum):
    """What an entry is; ``OTHER`` are hard links, devices and pipes."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    OTHER = "other"


@dataclass(frozen=True)
class Entry:
    """One thing in an archive.

    ``name`` is relative, without "." and ".."; bytes that are not UTF-8 are surrogates, as in ``os.fsdecode``. ``mode``
    holds permission bits alone, ``target`` where a symbolic link leads. A file has ``size`` bytes, all else none.
    """

    name: str
    kind: Kind = Kind.FILE
    size: int = 0
    mode: int = 0o600
    target: str = ""
    owner: int = 0
    group: int = 0


class Content:
    """The bytes of the entry that was read last; what nobody reads is passed over."""

    def __init__(self, exactly: Callable[[int], bytes], size: int) -> None:
        self._exactly = exactly
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the entry's end.

        Raises:
            VerificationFailed: the archive ends before.
        """
        block = self._exactly(min(size, self._left, _PIECE))
        self._left -= len(block)
        return block

    def whole(self, limit: int) -> bytes:
        """What is left of it.

        Raises:
            VerificationFailed: that is more than ``limit`` bytes, or the archive ends before.
        """
        if self._left > limit:
            raise VerificationFailed(f"an entry of {self._left} bytes; at most {limit} were expected")
        return b"".join(iter(lambda: self.read(_PIECE), b""))

    def skip(self) -> None:
        """Go on to what follows."""
        while self.read(_PIECE):
            pass
        self._exactly(self._padding)


def entries(source: Source) -> Iterator[tuple[Entry, Content]]:
    """The entries of an archive in their order; each one's content can be read until the next is asked for.

    The source is read to its end.

    Raises:
        VerificationFailed: it is no tar archive, is cut short, or an entry's name is unsafe or there twice.
    """
    return _Reading(source).entries()


class _Reading:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._names: set[str] = set()

    def entries(self) -> Iterator[tuple[Entry, Content]]:
        while (entry := self._next()) is not None:
            content = Content(self._exactly, entry.size)
            if entry.name:  # "./", which tar writes for the directory that it was started in
                if entry.name in self._names:
                    raise VerificationFailed(f"the archive holds {entry.name!r} twice")
                self._names.add(entry.name)
                yield entry, content
            content.skip()
        # Programs that write tar fill their last record with zeros.
        while self._source.read(_PIECE):
            pass

    def _next(self) -> Entry | None:
        """The next entry with what the headers before it say of it; nothing at the archive's end."""
        extended: dict[str, str] = {}
        while True:
            header = self._header()
            if header is None:
                return None
            match header.type:
                case tarfile.GNUTYPE_LONGNAME:
                    extended["path"] = self._text(header.size)
                case tarfile.GNUTYPE_LONGLINK:
                    extended["linkpath"] = self._text(header.size)
                case tarfile.XHDTYPE:
                    extended |= _records(self._extension(header.size))
                case tarfile.XGLTYPE:
                    self._extension(header.size)
                case _:
                    return _entry(header, extended)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._exactly(_BLOCK)
        if block == _END:
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise VerificationFailed(f"not a tar archive, or a damaged one: {error}") from None

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER_BYTES:
            raise VerificationFailed(f"the archive has a header of {size} bytes")
        content = Content(self._exactly, size)
        text = content.whole(size)
        content.skip()
        return text

    def _text(self, size: int) -> str:
        return self._extension(size).rstrip(b"\0").decode("utf-8", "surrogateescape")

    def _exactly(self, size: int) -> bytes:
        block = self._source.read(size) if size else b""
        while len(block) < size:
            more = self._source.read(size - len(block))
            if not more:
                raise VerificationFailed("the archive is cut short")
            block += more
        return block


def _records(text: bytes) -> dict[str, str]:
    """The records of an extended header: a length, a key, "=", a value, a line feed (pax(1), "pax Extended Header")."""
    found = {}
    while text:
        digits, _, _ = text.partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, separator, value = text[len(digits) + 1 : length - 1].partition(b"=")
        if not separator or text[length - 1 : length] != b"\n":
            raise VerificationFailed("the archive has a malformed extended header")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        text = text[length:]
    return found


_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
}


def _entry(header: tarfile.TarInfo, extended: dict[str, str]) -> Entry:
    kind = _KINDS.get(header.type, Kind.OTHER)
    size = extended.get("size", str(header.size))
    if not size.isdecimal() or any(key.startswith("GNU.sparse") for key in extended):
        raise VerificationFailed("the archive has an entry of a form that is not read")
    name = extended.get("path", header.name)
    return Entry(
        name=checked_name(name, directory=kind is Kind.DIRECTORY),
        kind=kind,
        size=int(size) if kind is Kind.FILE else 0,
        mode=header.mode & _MODE_BITS,
        target=extended.get("linkpath", header.linkname) if kind is Kind.SYMLINK else "",
        owner=header.uid,
        group=header.gid,
    )


def checked_name(name: str, *, directory: bool = False) -> str:
    """A name as an entry may have it, without a leading "./"; empty for a directory "." itself.

    Raises:
        VerificationFailed: it is absolute, empty, leads elsewhere, or no file can have it.
    """
    plain = name.removeprefix("./")
    if directory:
        plain = plain.removesuffix("/")
        if plain in {"", "."} and not name.startswith("/"):
            return ""
    parts = plain.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in plain:
        raise VerificationFailed(f"the archive has an entry with the name {name!r}, which is unsafe")
    return plain


class Writer:
    """Writes an archive: give the entries in the order wanted, then ``close`` it.

    No times and no names of users go in, so that equal contents give equal bytes.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write
        """Takes an entry's content, between ``begin`` and ``end``."""

    def add(self, entry: Entry, content: bytes = b"") -> None:
        """Write an entry whose content is in memory; ``entry.size`` does not count."""
        self.begin(entry, len(content))
        self.write(content)
        self.end(len(content))

    def begin(self, entry: Entry, size: int) -> None:
        """Write an entry's header: exactly ``size`` bytes are to be written by the caller, then ``end`` called."""
        types = {Kind.FILE: tarfile.REGTYPE, Kind.DIRECTORY: tarfile.DIRTYPE, Kind.SYMLINK: tarfile.SYMTYPE}
        header = tarfile.TarInfo(entry.name)
        header.type = types[entry.kind]
        header.size, header.mode, header.linkname = size, entry.mode, entry.target
        header.uid, header.gid, header.mtime = entry.owner, entry.group, 0
        self.write(header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))

    def end(self, size: int) -> None:
        """Fill up after an entry of ``size`` bytes."""
        self.write(bytes(-size % _BLOCK))

    def close(self) -> None:
        """Mark the archive's end; whoever gave ``write`` closes what is behind it."""
        self.write(_END + _END)
