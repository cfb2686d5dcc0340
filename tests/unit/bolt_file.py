"""Small bbolt databases, written by the format's description: pages in any order, free ones with what they held."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

Pairs = list[tuple[bytes, bytes]]
PAGE = 512


@dataclass
class Shape:
    """How a database is laid out."""

    leaf_elements: int = 3
    inline: int = 2
    """Buckets with at most so many elements stand in their parent's page."""
    stale: int = 2
    """Free pages behind each one in use."""


def revision(main: int, sub: int = 0, *, deleted: bool = False) -> bytes:
    """A key of the bucket with the keys."""
    return struct.pack(">QsQ", main, b"_", sub) + (b"t" if deleted else b"")


def pair(key: bytes, value: bytes = b"") -> bytes:
    """A serialised mvccpb.KeyValue."""
    return b"\x0a" + _varint(len(key)) + key + b"\x2a" + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def database(buckets: Mapping[bytes, Pairs], shape: Shape, random: Random) -> bytes:
    """A database with these buckets, each with its elements in key order."""
    return _Writing(shape, random).database(buckets)


def snapshot(content: bytes) -> bytes:
    """A database as etcd hands it out."""
    return content + hashlib.sha256(content).digest()


def _leaf(number: int, elements: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    head, body = b"", b""
    for index, (flags, key, value) in enumerate(elements):
        position = (len(elements) - index) * 16 + len(body)
        head += struct.pack("<IIII", flags, position, len(key), len(value))
        body += key + value
    return _page(number, 2, len(elements), head + body)


def _page(number: int, flags: int, count: int, content: bytes) -> bytes:
    more = -(-(16 + len(content)) // PAGE) - 1
    return (struct.pack("<QHHI", number, flags, count, max(0, more)) + content).ljust((1 + more) * PAGE, b"\0")


class _Writing:
    def __init__(self, shape: Shape, random: Random) -> None:
        self._shape, self._random = shape, random
        self._next = 2
        self._pages: dict[int, bytes] = {}

    def database(self, buckets: Mapping[bytes, Pairs]) -> bytes:
        elements = [(1, name, self._bucket(pairs)) for name, pairs in sorted(buckets.items())]
        root = self._tree(elements)
        body = b"".join(self._pages[number] for number in sorted(self._pages))
        total = 2 + len(body) // PAGE
        metas = [self._meta(number, root, total) for number in (0, 1)]
        return b"".join(metas) + body

    def _meta(self, number: int, root: int, total: int) -> bytes:
        described = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, 2**64 - 1, total, 7 + number)
        value = 0xCBF29CE484222325
        for byte in described:
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return _page(number, 4, 0, described + struct.pack("<Q", value))

    def _bucket(self, pairs: Pairs) -> bytes:
        elements = [(0, key, value) for key, value in pairs]
        if len(pairs) <= self._shape.inline:
            inline = _leaf(0, elements)
            used = 16 + sum(16 + len(key) + len(value) for key, value in pairs)
            return struct.pack("<QQ", 0, 0) + inline[:used]
        return struct.pack("<QQ", self._tree(elements), 0)

    def _tree(self, elements: Sequence[tuple[int, bytes, bytes]]) -> int:
        size = self._shape.leaf_elements
        leaves = [elements[at : at + size] for at in range(0, len(elements), size)] or [[]]
        order = list(range(len(leaves)))
        self._random.shuffle(order)
        placed = {index: self._place(lambda number, i=index: _leaf(number, leaves[i])) for index in order}
        if len(leaves) == 1:
            return placed[0]
        children = [(leaves[index][0][1], placed[index]) for index in range(len(leaves))]
        return self._place(lambda number: _branch(number, children))

    def _place(self, make: object) -> int:
        assert callable(make)
        number = self._next
        content: bytes = make(number)
        self._pages[number] = content
        self._next += len(content) // PAGE
        for _ in range(self._shape.stale):
            self._stale(content)
        return number

    def _stale(self, like: bytes) -> None:
        """A free page that looks like one in use, and claims what is behind it."""
        number = self._next
        head = bytearray(like[:PAGE])
        struct.pack_into("<Q", head, 0, number)
        struct.pack_into("<I", head, 12, self._random.choice([0, 1, 3, 2**31]))
        self._pages[number] = bytes(head)
        self._next += 1


def _branch(number: int, children: Sequence[tuple[bytes, int]]) -> bytes:
    head, body = b"", b""
    for index, (key, child) in enumerate(children):
        position = (len(children) - index) * 16 + len(body)
        head += struct.pack("<IIQ", position, len(key), child)
        body += key
    return _page(number, 1, len(children), head + body)
