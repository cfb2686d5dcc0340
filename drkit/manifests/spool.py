"""Where what was read of the API waits for its turn in the archive.

A list can turn out to be worthless at its last page, so nothing of it may have gone into the archive before. What
waits is compressed and encrypted under a key that is in this process's memory alone: little of it stays in memory, and
none of it reaches a disk in clear.
"""

from __future__ import annotations

import tempfile
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from types import TracebackType

IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes, compressed, after which a file without a name takes over."""
_LEVEL: Final = 1
_NONCE_BYTES: Final = 12


@dataclass(frozen=True)
class Record:
    """Bytes that wait: where they are, and how many they were."""

    number: int
    offset: int
    stored: int
    size: int


class Spool:
    """Takes bytes and gives them back. Safe to use from several threads."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._lock = threading.Lock()
        self._end = 0
        self._records = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def put(self, content: bytes) -> Record:
        """Keep bytes.

        Raises:
            OSError: there is no room for them.
        """
        packed = zlib.compress(content, _LEVEL)
        with self._lock:
            number, self._records = self._records, self._records + 1
        # A key of this process's own and a number for each record: no nonce is used twice.
        sealed = self._cipher.encrypt(number.to_bytes(_NONCE_BYTES), packed, None)
        with self._lock:
            self._file.seek(self._end)
            self._file.write(sealed)
            record = Record(number, self._end, len(sealed), len(content))
            self._end += len(sealed)
        return record

    def get(self, record: Record) -> bytes:
        """The bytes of a record."""
        with self._lock:
            self._file.seek(record.offset)
            sealed = self._file.read(record.stored)
        return zlib.decompress(self._cipher.decrypt(record.number.to_bytes(_NONCE_BYTES), sealed, None))
