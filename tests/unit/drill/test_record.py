"""The entries of a record, as lines and back."""

from __future__ import annotations

import pytest

from drkit.drill.record import Asked, Begin, End, Entry, Event, Phase, Rows, Steady, Used, from_line, to_line

ENTRIES: tuple[Entry, ...] = (
    Begin(0.0, "run", "", {"scenario": "x"}, "0", "", stand_ins=("operator",)),
    Asked(0.0, "page", 0, 0.0, 0.0, "ok"),
    Asked(1.5, "write", 3, 1.0, 1.1, "unknown", session=True, said="timeout", row=0, server="10.0.0.1", timeline=2),
    Phase(2.0, 0, "sent"),
    Event(2.0, "promoted", "postgres/main-db", {"to": "main-db-2"}, "2026-01-01T00:00:00Z"),
    Steady(3.0, "before", holds=False, said="w1"),
    Rows(4.0, "write", "main-db-1", "primary", ((0, 5), (7, 9)), {"4": 2}),
    Used(5.0, 0.0, 1.0),
    End(6.0, "done"),
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_a_line_gives_its_entry_back(entry: Entry) -> None:
    """Nothing of an entry is lost on its way through the file, zeros and empty text included."""
    assert from_line(to_line(entry)) == entry


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b'{"entry":"new"}', b'{"entry":"asked"}', b"\xff\n"])
def test_what_is_no_entry_is_none(line: bytes) -> None:
    """A line that a crash cut short, and what a later version may write, is passed over."""
    assert from_line(line) is None
