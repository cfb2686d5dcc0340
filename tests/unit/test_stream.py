"""Archives on their way out of a vault."""

from __future__ import annotations

import hashlib
import io

import pytest

from drkit.errors import VerificationFailed
from drkit.restore.stream import Whole
from tests.unit.builders import source


def _drain(stream: Whole) -> bytes:
    return b"".join(iter(lambda: stream.read(100), b""))


def test_a_whole_stream_has_an_end() -> None:
    """Bytes that are not what was sealed end in an error, however they differ."""
    content = b"abc" * 1000
    sealed = source(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    assert _drain(Whole(io.BytesIO(content), sealed)) == content
    for other in (content[:-1], content + b"x", b"x" + content[1:], b""):
        with pytest.raises(VerificationFailed):
            _drain(Whole(io.BytesIO(other), sealed))
