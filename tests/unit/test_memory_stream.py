"""Bytes in memory on their way into the vault."""

from __future__ import annotations

import os

import pytest

from drkit.errors import SourceFailed
from drkit.sources.port import MemoryStream

CONTENT = b"what is to be stored, and nothing else" * 10


def test_what_is_read_to_its_end_is_whole() -> None:
    """Read once to the end, the stream is what was put there; nothing at all is whole too."""
    for content in (CONTENT, b""):
        with MemoryStream(content) as stream:
            assert os.read(stream.fileno(), 10_000) == content
            stream.finish()


def test_what_another_wrote_over_it_is_seen() -> None:
    """What a write to a descriptor that was given away again left there is not sealed, wherever it went."""
    for position in (0, 5, len(CONTENT)):
        with MemoryStream(CONTENT) as stream:
            os.pwrite(stream.fileno(), b"alert", position)
            while os.read(stream.fileno(), 10_000):
                pass
            with pytest.raises(SourceFailed, match="changed in memory"):
                stream.finish()


def test_what_was_not_read_to_its_end_is_not_whole() -> None:
    """Nothing is sealed of which a part was not read."""
    with MemoryStream(CONTENT) as stream:
        os.read(stream.fileno(), 7)
        with pytest.raises(SourceFailed):
            stream.finish()
