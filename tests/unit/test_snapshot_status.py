"""Reading an etcd snapshot in one pass: what it says, and that no damage goes unseen."""

from __future__ import annotations

import io
from random import Random

import google_crc32c
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drkit.datastore import crc, status
from drkit.errors import VerificationFailed
from tests.unit.bolt_file import PAGE, Pairs, Shape, database, pair, revision, snapshot

KEYS = st.sampled_from([b"/registry/a", b"/registry/b", b"/bootstrap/0123456789ab", b"c" * 300])
HISTORY = st.lists(st.tuples(KEYS, st.booleans(), st.binary(max_size=1500)), max_size=30)
OTHERS = st.dictionaries(
    st.binary(min_size=1, max_size=20).filter(lambda name: name != b"key"),
    st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(max_size=900), max_size=9),
    max_size=4,
)
SHAPES = st.builds(Shape, st.integers(1, 6), st.integers(0, 3), st.integers(0, 3))


class Trickle(io.BytesIO):
    """A source that gives little at once."""

    def read(self, size: int | None = -1) -> bytes:
        """At most 700 bytes."""
        return super().read(700 if size is None or size < 0 else min(size, 700))


def written(history: list[tuple[bytes, bool, bytes]]) -> Pairs:
    """The bucket with the keys after a history of settings and deletions."""
    return [
        (revision(2 + index, deleted=deleted), pair(key) if deleted else pair(key, value))
        for index, (key, deleted, value) in enumerate(history)
    ]


def expected(buckets: dict[bytes, Pairs], history: list[tuple[bytes, bool, bytes]]) -> tuple[int, int, str, list[str]]:
    """Revision, number of keys, hash and bootstrap keys, worked out in the plainest way."""
    plain = b"".join(name + b"".join(key + value for key, value in pairs) for name, pairs in sorted(buckets.items()))
    there: set[bytes] = set()
    for key, deleted, _ in history:
        (there.discard if deleted else there.add)(key)
    newest = len(history) + 1 if history else 0
    kept = sorted(key.decode() for key in there if key.startswith(b"/bootstrap/"))
    return newest, len(there), f"{google_crc32c.value(plain):08x}", kept


@given(HISTORY, OTHERS, SHAPES, st.randoms(use_true_random=False))
def test_a_snapshot_says_what_is_in_it(
    history: list[tuple[bytes, bool, bytes]], others: dict[bytes, dict[bytes, bytes]], shape: Shape, random: Random
) -> None:
    """Revision, keys, hash and identity come out whatever the order of pages, and free pages count for nothing."""
    buckets = {b"key": written(history), **{name: sorted(pairs.items()) for name, pairs in others.items()}}
    content = database(buckets, shape, random)
    found = status.facts(Trickle(snapshot(content)))
    assert (found.revision, found.keys, found.hash, list(found.bootstrap)) == expected(buckets, history)
    assert found.size == len(content)


SMALL = database(
    {b"key": written([(b"/registry/%d" % number, False, b"v" * 90) for number in range(12)]), b"meta": [(b"a", b"b")]},
    Shape(),
    Random(7),  # noqa: S311 - a layout, not a secret
)


@given(st.integers(0, len(SMALL) + 31), st.integers(0, 7))
def test_a_flipped_bit_is_seen(at: int, bit: int) -> None:
    """Any bit of a snapshot that is another one fails it, its checksum's own bits included."""
    damaged = bytearray(snapshot(SMALL))
    damaged[at] ^= 1 << bit
    with pytest.raises(VerificationFailed):
        status.facts(io.BytesIO(bytes(damaged)))


@given(st.integers(0, len(SMALL) + 31))
def test_a_cut_snapshot_is_seen(size: int) -> None:
    """A snapshot that ends too early fails, wherever it ends."""
    with pytest.raises(VerificationFailed):
        status.facts(io.BytesIO(snapshot(SMALL)[:size]))


def test_a_longer_snapshot_is_seen() -> None:
    """Something behind the checksum is no part of a snapshot."""
    with pytest.raises(VerificationFailed):
        status.facts(io.BytesIO(snapshot(SMALL) + b"\0"))


@given(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=24))
def test_damage_under_a_right_checksum_ends_well(at: int, bytes_: bytes) -> None:
    """A hostile database with a checksum that fits is read or refused; nothing else happens, and in bounded time."""
    hostile = SMALL[:at] + bytes_ + SMALL[at + len(bytes_) :]
    assume(len(hostile) == len(SMALL))
    try:
        found = status.facts(io.BytesIO(snapshot(hostile)))
    except VerificationFailed:
        return
    assert found.size <= len(SMALL)


def test_a_tree_that_leads_in_circles_is_refused() -> None:
    """A branch that names itself as its child does not keep the reader for ever."""
    content = database({b"key": written([(b"/registry/a", False, b"v")] * 9)}, Shape(stale=0), Random(1))  # noqa: S311
    pages = [content[at : at + PAGE] for at in range(0, len(content), PAGE)]
    number = next(index for index, page in enumerate(pages) if page[8] == 1)
    circle = pages[number][:24] + number.to_bytes(8, "little") + pages[number][32:]
    hostile = b"".join([*pages[:number], circle, *pages[number + 1 :]])
    with pytest.raises(VerificationFailed, match="wrong way"):
        status.facts(io.BytesIO(snapshot(hostile)))


def test_what_is_no_snapshot_is_refused() -> None:
    """Nothing, text, a SQLite database and zeros are no snapshots."""
    for content in (b"", b"hello", b"SQLite format 3\0" + bytes(8192), bytes(100_000)):
        with pytest.raises(VerificationFailed):
            status.facts(io.BytesIO(snapshot(content)))


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_checksums_are_put_together(pieces: list[bytes]) -> None:
    """The checksum of pieces one behind the other follows from theirs."""
    whole = crc.Piece()
    for piece in pieces:
        whole = whole.then(crc.of(piece))
    assert whole == crc.of(b"".join(pieces))


def test_differences_are_said() -> None:
    """Facts that are not those that were sealed are named, with both values."""
    sealed = {"revision": 7, "hash": "00000001", "gone": 1}
    assert status.differences(sealed, {"revision": 7, "hash": "00000001", "gone": 1}) == []
    said = status.differences(sealed, {"revision": 8, "hash": "00000001", "new": 2})
    assert said == ["gone is None; sealed was 1", "new is 2; sealed was None", "revision is 8; sealed was 7"]
