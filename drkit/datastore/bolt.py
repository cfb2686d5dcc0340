"""A bbolt database in one pass, from its first byte to its last, with a small part of it in memory.

bbolt (go.etcd.io/bbolt: internal/common/page.go, meta.go, inode.go, bucket.go) writes pages that name their children by
number, in no order; pages that are free keep what was in them. So every page that looks like one is noted with what its
content adds to the whole, a checksum and few numbers, and the tree is walked afterwards over these notes. What a free
page held is never met.
"""

from __future__ import annotations

import itertools
import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from drkit.datastore import crc
from drkit.datastore.crc import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = 0xED0CDAED
_VERSION = 2
_PAGE = struct.Struct("<QHHI")  # number, flags, count of elements, pages that follow and belong to it
_META = struct.Struct("<IIIIQQQQQQ")
_BRANCH_ELEMENT = struct.Struct("<IIQ")  # position of the key from here, its size, the child's number
_LEAF_ELEMENT = struct.Struct("<IIII")  # flags, position of key and value from here, their sizes
_BUCKET = struct.Struct("<QQ")  # number of its root page, 0 where it stands right here; a sequence
_BRANCH, _LEAF = 0x01, 0x02
_IS_BUCKET = 0x01
_PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))
_LARGEST_PAGE_BYTES = 64 * 1024 * 1024
"""A page with all that belongs to it. etcd refuses requests above 1.5 MiB; two keys at least share a page."""
_DEEPEST = 64
_READ_BYTES = 1024 * 1024


class Damaged(Exception):
    """This is no whole bbolt database; the message says where."""


class Source(Protocol):
    """Where the bytes come from."""

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        ...


class Notes(Protocol):
    """What a caller wants to keep of a leaf's elements."""

    def leaf(self, page: int, elements: list[tuple[bytes, bytes]]) -> None:
        """A page's keys and values, in order. The page may be a free one with what it held once."""
        ...


@dataclass(frozen=True)
class Bucket:
    """A bucket: its name, and what it holds, in key order."""

    name: bytes
    pages: tuple[int, ...]
    """Its leaves; a bucket that stands in its parent's page has a number of its own, below 0."""
    content: Piece
    """All keys and values, one behind the other."""
    count: int


@dataclass
class _Leaf:
    content: Piece
    count: int
    buckets: list[tuple[bytes, int]] = field(default_factory=list)


class Reading:
    """One pass over a database. Make it, call ``run`` once, then ``buckets``.

    Args:
        source: gives the database from its beginning; what is behind it is left there.
        notes: told of every leaf.
    """

    def __init__(self, source: Source, notes: Notes) -> None:
        self._source, self._notes = source, notes
        self._buffer = bytearray()
        self._start = 0
        self._left = 0
        self._pages = 0
        self.page_size = 0
        self._root = 0
        # Of each page: its kind, and of a leaf the checksum, length and count of elements.
        self._kinds = bytearray()
        self._checksums, self._sizes, self._counts = array("I"), array("Q"), array("I")
        self._children: dict[int, array[int]] = {}
        self._bucket_leaves: dict[int, _Leaf] = {}
        self._inline = 0
        self._inline_leaves: dict[int, _Leaf] = {}

    @property
    def size(self) -> int:
        """Of the database, in bytes."""
        return self._pages * self.page_size

    def run(self) -> None:
        """Read the whole database.

        Raises:
            Damaged: it is none, or is cut short.
        """
        self._read_meta()
        for number in range(self._pages):
            self._need(self.page_size)
            self._kinds.append(0)
            self._checksums.append(0)
            self._sizes.append(0)
            self._counts.append(0)
            self._note(number)
            self._start += self.page_size

    def _need(self, size: int) -> None:
        """See that ``size`` bytes from where we are are in the buffer."""
        if self._start > _READ_BYTES:
            del self._buffer[: self._start]
            self._start = 0
        while len(self._buffer) - self._start < size:
            more = self._source.read(min(_READ_BYTES, self._left))
            if not more:
                raise Damaged("it is cut short")
            self._buffer += more
            self._left -= len(more)

    def _read_meta(self) -> None:
        """Both first pages describe the database; the newer one that is whole counts."""
        self._left = _PAGE.size + _META.size
        self._need(self._left)
        size = _META.unpack_from(self._buffer, _PAGE.size)[2]
        if size not in _PAGE_SIZES:
            raise Damaged("it does not begin as a database does")
        self._left = 2 * size - len(self._buffer)
        self._need(2 * size)
        found = [meta for at in (0, size) if (meta := self._meta(at + _PAGE.size))]
        if not found:
            raise Damaged("neither of its first pages is whole")
        transaction, self._root, self._pages, self.page_size = max(found)
        total = self._pages * self.page_size
        if self._pages <= max(2, self._root) or self.page_size != size:
            raise Damaged(f"its first pages contradict themselves (transaction {transaction})")
        self._left = total - len(self._buffer)

    def _meta(self, at: int) -> tuple[int, int, int, int] | None:
        magic, version, size, _, root, _, _, pages, transaction, checksum = _META.unpack_from(self._buffer, at)
        described = self._buffer[at : at + _META.size - 8]
        if (magic, version, checksum) != (_MAGIC, _VERSION, _fnv(described)):
            return None
        return transaction, root, pages, size

    def _note(self, number: int) -> None:
        itself, flags, count, more = _PAGE.unpack_from(self._buffer, self._start)
        size = (1 + more) * self.page_size
        if itself != number or flags not in {_BRANCH, _LEAF} or size > _LARGEST_PAGE_BYTES:
            return
        if number + more >= self._pages:
            return  # it was free when the database ended further on
        self._need(size)
        page = bytes(self._buffer[self._start : self._start + size])
        if flags == _BRANCH:
            children = _children(page, count)
            if children is not None:
                self._children[number] = children
                self._kinds[number] = _BRANCH
            return
        elements = _elements(page, _PAGE.size, count)
        if elements is not None:
            self._note_leaf(number, page, elements)

    def _note_leaf(self, number: int, page: bytes, elements: list[tuple[int, int, int, int]]) -> None:
        self._kinds[number] = _LEAF
        if any(flags & _IS_BUCKET for flags, _, _, _ in elements):
            self._bucket_leaves[number] = self._leaf_of_buckets(page, elements)
            return
        content = _content(page, elements)
        self._checksums[number], self._sizes[number] = content.checksum, content.size
        self._counts[number] = len(elements)
        self._notes.leaf(number, [(page[at:mid], page[mid:end]) for _, at, mid, end in elements])

    def _leaf_of_buckets(self, page: bytes, elements: list[tuple[int, int, int, int]]) -> _Leaf:
        leaf = _Leaf(Piece(), len(elements))
        for flags, at, mid, end in elements:
            if not flags & _IS_BUCKET or end - mid < _BUCKET.size:
                leaf.count = -1  # a mixture, which etcd never writes; said when the tree leads here
                break
            root, _ = _BUCKET.unpack_from(page, mid)
            if root == 0:
                root = self._note_inline(page[mid + _BUCKET.size : end])
            leaf.buckets.append((page[at:mid], root))
        return leaf

    def _note_inline(self, page: bytes) -> int:
        """A small bucket, which stands as a page of its own in its parent's value; a number to find it by."""
        self._inline -= 1
        elements = None
        if len(page) >= _PAGE.size:
            _, flags, count, _ = _PAGE.unpack_from(page, 0)
            elements = _elements(page, _PAGE.size, count) if flags == _LEAF else None
        if elements is not None and not any(flags & _IS_BUCKET for flags, _, _, _ in elements):
            self._inline_leaves[self._inline] = _Leaf(_content(page, elements), len(elements))
            self._notes.leaf(self._inline, [(page[at:mid], page[mid:end]) for _, at, mid, end in elements])
        return self._inline

    def buckets(self) -> Iterator[Bucket]:
        """The buckets of the database, by name; valid after ``run``.

        Raises:
            Damaged: the tree leads where no page is, to one page twice, or holds what etcd never writes.
        """
        met: set[int] = set()
        for number in self._leaves(self._root, met):
            found = self._bucket_leaves.get(number)
            if found is None or found.count < 0:
                if found is None and self._counts[number] == 0:
                    continue  # a database without buckets
                raise Damaged(f"page {number} of its root holds something else than buckets")
            for name, root in found.buckets:
                yield self._bucket(name, root, met)

    def _bucket(self, name: bytes, root: int, met: set[int]) -> Bucket:
        if root < 0:
            leaf = self._inline_leaves.get(root)
            if leaf is None:
                raise Damaged(f"the bucket {name!r} cannot be read")
            return Bucket(name, (root,), leaf.content, leaf.count)
        content, count = Piece(), 0
        pages = tuple(self._leaves(root, met))
        for number in pages:
            if number in self._bucket_leaves:
                raise Damaged(f"the bucket {name!r} holds another one")
            content = content.then(Piece(self._checksums[number], self._sizes[number]))
            count += self._counts[number]
        return Bucket(name, pages, content, count)

    def _leaves(self, root: int, met: set[int]) -> Iterator[int]:
        """The leaves below a page, in key order."""
        path = [iter((root,))]
        while path:
            number = next(path[-1], None)
            if number is None:
                path.pop()
                continue
            if number >= self._pages or number in met or len(path) > _DEEPEST:
                raise Damaged(f"its tree leads to page {number} in a wrong way")
            met.add(number)
            kind = self._kinds[number]
            if kind == _LEAF:
                yield number
            elif kind == _BRANCH:
                path.append(iter(self._children[number]))
            else:
                raise Damaged(f"its tree leads to page {number}, which is none of a tree")


def _fnv(content: bytes | bytearray) -> int:
    """FNV-1a with 64 bits, which guards the first pages."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _children(page: bytes, count: int) -> array[int] | None:
    """The numbers of a branch's children; nothing where this is no branch."""
    end = _PAGE.size + count * _BRANCH_ELEMENT.size
    if not count or end > len(page):
        return None
    return array("Q", [child for _, _, child in _BRANCH_ELEMENT.iter_unpack(page[_PAGE.size : end])])


def _elements(page: bytes, begin: int, count: int) -> list[tuple[int, int, int, int]] | None:
    """A leaf's elements: flags, where the key begins, the value begins, the value ends; nothing where it is none."""
    end = begin + count * _LEAF_ELEMENT.size
    size = len(page)
    if end > size:
        return None
    elements = []
    here = begin
    for flags, position, key, value in _LEAF_ELEMENT.iter_unpack(page[begin:end]):
        at = here + position
        mid = at + key
        stop = mid + value
        if at < end or stop > size:
            return None
        elements.append((flags, at, mid, stop))
        here += _LEAF_ELEMENT.size
    return elements


def _content(page: bytes, elements: list[tuple[int, int, int, int]]) -> Piece:
    """All keys and values. bbolt writes them one behind the other; where it did not, they are put so."""
    if not elements:
        return Piece()
    if all(one[3] == other[1] for one, other in itertools.pairwise(elements)):
        return crc.of(page[elements[0][1] : elements[-1][3]])
    return crc.of(b"".join(page[at:end] for _, at, _, end in elements))
