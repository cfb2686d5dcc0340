"""What an etcd snapshot says of itself, read once from its beginning to its end.

A snapshot is a bbolt database with its SHA-256 behind it. Revision, number of keys and hash are those of ``etcdutl
snapshot status`` of etcd 3.6 (etcdutl/snapshot/v3_snapshot.go, Status).
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.datastore import bolt, crc
from drkit.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.datastore.bolt import Source

BOOTSTRAP = b"/bootstrap/"
_TRAILER_BYTES = 32
_KEYS = b"key"
"""The bucket with the keys, by revision (server/storage/schema/bucket.go)."""
_REVISION_BYTES = 17
"""Eight bytes, "_", eight bytes; one more, "t", where the key was deleted (server/storage/mvcc/revision.go)."""
_KEY_FIELD = 0x0A
"""Field 1 of mvccpb.KeyValue, with a length before it."""
_MORE = 0x80


@dataclass(frozen=True)
class SnapshotFacts:
    """What proves a snapshot.

    ``revision``: the newest in it. ``keys``: how many there are at that revision. ``hash``: hex, over all buckets.
    ``size``: of the database in bytes. ``sha256``: as etcd appended it, compared. ``bootstrap``: the keys under which
    k3s keeps the cluster's identity, each named after a hash of the token that opens it.
    """

    revision: int
    keys: int
    hash: str
    size: int
    sha256: str
    bootstrap: tuple[str, ...]


def facts(source: Source) -> SnapshotFacts:
    """Read a snapshot to its end.

    Raises:
        VerificationFailed: it is none, is cut short, or its checksum does not fit.
    """
    hashing = _Hashing(source)
    notes = _Revisions()
    reading = bolt.Reading(hashing, notes)
    try:
        reading.run()
        digest = hashing.digest.hexdigest()
        trailer = _rest(source)
        if trailer.hex() != digest:
            raise VerificationFailed(f"the snapshot's checksum is {trailer.hex() or 'missing'}, its content's {digest}")
        return _sum_up(reading, notes, digest)
    except bolt.Damaged as error:
        raise VerificationFailed(f"the snapshot is damaged: {error}") from None


def differences(sealed: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What is not as it was when it was sealed, as sentences; facts as dictionaries, of any kind of datastore."""
    return [
        f"{name} is {found.get(name)!r}; sealed was {sealed.get(name)!r}"
        for name in sorted({*sealed, *found})
        if sealed.get(name) != found.get(name)
    ]


class _Hashing:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        block = self._source.read(size)
        self.digest.update(block)
        return block


def _rest(source: Source) -> bytes:
    """What comes behind the database, which is little."""
    rest = b""
    while len(rest) <= _TRAILER_BYTES and (block := source.read(_TRAILER_BYTES + 1 - len(rest))):
        rest += block
    return rest


class _Revisions:
    """Of every leaf that can be one of the keys' bucket: which keys it sets or deletes, each as a number."""

    def __init__(self) -> None:
        self.newest: dict[int, int] = {}
        self.bootstrap: dict[int, str] = {}
        self._events = array("q")
        self._spans: dict[int, tuple[int, int]] = {}

    def leaf(self, page: int, elements: list[tuple[bytes, bytes]]) -> None:
        begin = len(self._events)
        for revision, value in elements:
            key = _key(value) if len(revision) in {_REVISION_BYTES, _REVISION_BYTES + 1} else None
            if key is None:
                del self._events[begin:]
                return
            number = hash(key) & ~1  # the last bit says whether the key was deleted
            self._events.append(number | (len(revision) > _REVISION_BYTES))
            if key.startswith(BOOTSTRAP):
                self.bootstrap[number] = key.decode(errors="replace")
        if elements:
            self._spans[page] = (begin, len(self._events))
            self.newest[page] = int.from_bytes(elements[-1][0][:8])

    def live(self, pages: tuple[int, ...]) -> set[int]:
        """The keys that are there after all that these pages did, in their order.

        Raises:
            Damaged: one of them holds something else.
        """
        there: set[int] = set()
        for page in pages:
            if page not in self._spans:
                raise bolt.Damaged(f"page {page} of the keys holds something else")
            for event in self._events[slice(*self._spans[page])]:
                if event & 1:
                    there.discard(event & ~1)
                else:
                    there.add(event)
        return there


def _key(value: bytes) -> bytes | None:
    """The key in a serialised mvccpb.KeyValue; nothing where this is none."""
    if not value or value[0] != _KEY_FIELD:
        return None
    size = shift = 0
    at = 1
    while at < min(len(value), 6):
        size |= (value[at] & ~_MORE) << shift
        shift += 7
        at += 1
        if not value[at - 1] & _MORE:
            return value[at : at + size] if at + size <= len(value) else None
    return None


def _sum_up(reading: bolt.Reading, notes: _Revisions, digest: str) -> SnapshotFacts:
    whole = crc.Piece()
    there: set[int] = set()
    revision = 0
    for bucket in reading.buckets():
        whole = whole.then(crc.of(bucket.name)).then(bucket.content)
        if bucket.name == _KEYS and bucket.count:
            there = notes.live(bucket.pages)
            revision = notes.newest[bucket.pages[-1]]
    return SnapshotFacts(
        revision=revision,
        keys=len(there),
        hash=f"{whole.checksum:08x}",
        size=reading.size,
        sha256=digest,
        bootstrap=tuple(sorted(notes.bootstrap[number] for number in there & notes.bootstrap.keys())),
    )
