"""CRC-32C (Castagnoli) of bytes that come in pieces, in another order than they count.

The checksum of two pieces together follows from theirs and the length of the second: a checksum is a polynomial over
GF(2) modulo the generator, and more bytes behind it multiply it by a power of x (as in zlib's ``crc32_combine``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

_GENERATOR = 0x82F63B78
"""Castagnoli's, the bits reversed (RFC 3720, section 12.1)."""
_ONE = 0x80000000
"""The polynomial 1: the highest bit is the lowest power."""


@dataclass(frozen=True)
class Piece:
    """Some bytes: their checksum and how many they are."""

    checksum: int = 0
    size: int = 0

    def then(self, other: Piece) -> Piece:
        """These bytes with the other's behind them."""
        if not other.size:
            return self
        return Piece(_times(_power(other.size), self.checksum) ^ other.checksum, self.size + other.size)


def of(content: bytes) -> Piece:
    """The piece that ``content`` is."""
    import google_crc32c  # noqa: PLC0415 - loads a library that few commands need

    return Piece(google_crc32c.value(content), len(content))


def _times(one: int, other: int) -> int:
    """The product of two polynomials."""
    product = 0
    bit = _ONE
    while one:
        if one & bit:
            product ^= other
            one ^= bit
        bit >>= 1
        other = (other >> 1) ^ _GENERATOR if other & 1 else other >> 1
    return product


@lru_cache(maxsize=16384)  # a page's length: most have some of few
def _power(size: int) -> int:
    """The power of x that ``size`` bytes more multiply a checksum by."""
    power = _ONE
    position = 3
    while size:
        if size & 1:
            power = _times(_squared(position), power)
        size >>= 1
        position += 1
    return power


@cache
def _squared(position: int) -> int:
    """The polynomial x, squared ``position`` times."""
    if position == 0:
        return _ONE >> 1
    half = _squared(position - 1)
    return _times(half, half)
