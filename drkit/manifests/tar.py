"""Tar archives of plain files that are the same for the same files, and the strict reading of these and no others.

The format is POSIX pax (IEEE Std 1003.1, pax): ``tar xf`` unpacks it. Written are regular files of mode 0600 and owner
0 from 1970, and nothing else is accepted back: no links, no directories, no devices, no path that leaves its directory
or comes twice, no attribute but the path that is too long for the plain header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
LONGEST_PATH: Final = 1024
_LONGEST_NAME: Final = 100
_PIECE: Final = 256 * 1024
_FILE, _PAX = b"0", b"x"
_PAX_NAME: Final = b"././@PaxHeader"
# Name, mode, uid, gid, size, mtime, checksum, type, linkname, magic, version, owner's names, device, prefix.
_BEFORE_SIZE: Final = b"0000600\0" + b"0000000\0" * 2
_AFTER_SIZE: Final = b"00000000000\0"
_AFTER_TYPE: Final = (
    bytes(100) + b"ustar\0" + b"00" + bytes(32) + bytes(32) + bytes(8) + bytes(8) + bytes(155) + bytes(12)
)
_LARGEST: Final = 8**11 - 1


def header(path: str, size: int) -> bytes:
    """What stands before a file's content.

    Raises:
        ValueError: the file is larger than the format allows, 8 GiB.
    """
    name = path.encode("ascii")
    if size > _LARGEST:
        raise ValueError(f"{path}: {size} bytes")
    if len(name) <= _LONGEST_NAME:
        return _block(name, size, _FILE)
    record = _record(name)
    return (
        _block(_PAX_NAME, len(record), _PAX) + record + padding(len(record)) + _block(name[:_LONGEST_NAME], size, _FILE)
    )


def _block(name: bytes, size: int, kind: bytes) -> bytes:
    before = name.ljust(_LONGEST_NAME, b"\0") + _BEFORE_SIZE + b"%011o\0" % size + _AFTER_SIZE
    after = kind + _AFTER_TYPE
    checksum = sum(before) + sum(after) + 8 * 0x20  # the checksum's own field counts as blanks
    return before + b"%06o\0 " % checksum + after


def _record(name: bytes) -> bytes:
    """A pax record, which begins with its own length."""
    rest = b" path=" + name + b"\n"
    length = len(rest) + 2
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def padding(size: int) -> bytes:
    """What fills up a file's last block."""
    return bytes(-size % BLOCK)


def entry(path: str, content: bytes) -> bytes:
    """A whole small file."""
    return header(path, len(content)) + content + padding(len(content))


class Entry:
    """A file of an archive that is being read. Its content can be read once, before the next entry is asked for."""

    def __init__(self, path: str, size: int, read: Callable[[int], bytes]) -> None:
        self.path, self.size = path, size
        self._read, self._left = read, size

    def pieces(self) -> Iterator[bytes]:
        """What has not been read of it yet, piece by piece."""
        while self._left:
            piece = self._read(min(self._left, _PIECE))
            if not piece:
                raise VerificationFailed(f"an export of manifests ends in the middle of {self.path}")
            self._left -= len(piece)
            yield piece

    def lines(self, longest: int) -> Iterator[bytes]:
        """Its lines without their ends; none may be longer than ``longest``."""
        rest = b""
        for piece in self.pieces():
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > longest:
                raise VerificationFailed(f"an export of manifests has a line of more than {longest} bytes: {self.path}")
        if rest:
            yield rest

    def content(self, largest: int) -> bytes:
        """All of it.

        Raises:
            VerificationFailed: it is larger than ``largest``.
        """
        if self.size > largest:
            raise VerificationFailed(f"an export of manifests has a file of {self.size} bytes: {self.path}")
        return b"".join(self.pieces())


def entries(read: Callable[[int], bytes]) -> Iterator[Entry]:
    """The files of an archive, in their order, read to its very end.

    Args:
        read: gives up to so many bytes; none at the end.

    Raises:
        VerificationFailed: it is no archive as ``header`` and ``entry`` make them.
    """
    seen: set[bytes] = set()
    while (block := _exactly(read, BLOCK)) != bytes(BLOCK):
        name, size, kind = _parse(block)
        if kind == _PAX:
            name = _long_name(_exactly(read, _bounded(size)))
            _, size, kind = _parse(_exactly(read, BLOCK))
        if kind != _FILE:
            raise _refused("something that is no plain file")
        path = _checked(name)
        if name in seen:
            raise _refused(f"{path} twice")
        seen.add(name)
        found = Entry(path, size, read)
        yield found
        for _ in found.pieces():
            """What nobody asked for is passed over."""
        _exactly(read, len(padding(size)))
    if _exactly(read, BLOCK) != bytes(BLOCK) or read(1):
        raise _refused("something behind its end")


def _refused(what: str) -> VerificationFailed:
    return VerificationFailed(f"an export of manifests holds {what}", "choose another recovery point: drkit points")


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = read(size - len(found))
        if not piece:
            raise VerificationFailed("an export of manifests is cut off", "choose another recovery point: drkit points")
        found += piece
    return found


def _parse(block: bytes) -> tuple[bytes, int, bytes]:
    """Name, size and type; the block must be one that this module writes, to the last byte."""
    name, kind = block[:_LONGEST_NAME].rstrip(b"\0"), block[156:157]
    try:
        size = int(block[124:135], 8)
    except ValueError:
        raise _refused("a malformed header") from None
    if size < 0 or _block(name, size, kind) != block:
        raise _refused("a header that drkit did not write")
    return name, size, kind


def _bounded(size: int) -> int:
    if size > LONGEST_PATH + BLOCK:
        raise _refused(f"a path of {size} bytes")
    return size + len(padding(size))


def _long_name(block: bytes) -> bytes:
    name = block.rstrip(b"\0").partition(b" path=")[2].rstrip(b"\n")
    record = _record(name)
    if record + padding(len(record)) != block or len(name) <= _LONGEST_NAME:
        raise _refused("an extended header that drkit did not write")
    return name


def _checked(name: bytes) -> str:
    try:
        path = name.decode("ascii")
    except UnicodeDecodeError:
        raise _refused("a path that is no ASCII") from None
    parts = path.split("/")
    if not path.isprintable() or len(path) > LONGEST_PATH or any(part in {"", ".", ".."} for part in parts):
        raise _refused(f"the path {path!r}")
    return path
