"""What a program in a container printed, as the engine sends it."""

from __future__ import annotations

from drkit.lab.inside import frames


def test_output_and_errors_are_told_apart() -> None:
    """Blocks come behind their stream and length, in turns; what is in them may look like that too."""
    blocks = [(1, b"{"), (2, b"warning\n"), (1, b"\2\0\0\0\0\0\0\1x" + b"y" * 300), (1, b"")]
    body = b"".join(bytes([stream, 0, 0, 0]) + len(block).to_bytes(4, "big") + block for stream, block in blocks)
    assert list(frames(body)) == blocks
