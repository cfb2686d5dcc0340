"""Records that are judged again, from their files."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from drkit.drill.record import FORMAT, Asked, Begin, Recorder, Rows, to_line
from drkit.drill.rejudge import read
from drkit.drill.verdict import INVALID, KEPT
from drkit.errors import UsageError
from tests.unit.drill.judge.edits import judge, story
from tests.unit.drill.records import typical

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_judged_as_its_entries_are(tmp_path: Path) -> None:
    """The same record always gives the same verdict, read twice or not read at all."""
    drill = typical()
    path = drill.write(tmp_path / "record.jsonl")
    assert read(path) == read(path) == judge(drill.entries())


def test_what_recorders_wrote_is_judged(tmp_path: Path) -> None:
    """Two of them, as processes that append to one record do."""
    path = tmp_path / "record.jsonl"
    with Recorder(path, 0.0) as probes, Recorder(path, 0.0) as others:
        for each in typical().entries():
            (probes if isinstance(each, Asked) else others).write(each)
    assert read(path) == judge(typical().entries())


def test_a_record_that_a_crash_cut_short_is_invalid(tmp_path: Path) -> None:
    """Its last line is passed over, and that there is no end is the reason."""
    path = story().write(tmp_path / "record.jsonl")
    path.write_bytes(path.read_bytes()[:-10])
    verdict = read(path)
    assert (verdict.outcome, verdict.reasons) == (INVALID, ("the record was cut short: it has no end",))


def test_entries_of_kinds_that_are_not_known_are_passed_over(tmp_path: Path) -> None:
    """A later drkit may write more into the same format."""
    path = story().write(tmp_path / "record.jsonl")
    path.write_bytes(path.read_bytes() + b'{"entry":"weather","at":1.0,"rain":true}\n')
    assert read(path).outcome == KEPT


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    """With whose it is, even where its begin has more than this drkit knows."""
    path = tmp_path / "record.jsonl"
    begin = json.loads(to_line(story().entries()[0]))
    path.write_text(json.dumps({**begin, "format": FORMAT + 1, "version": "9.0.0", "moon": "full"}) + "\n")
    with pytest.raises(UsageError, match=f"format {FORMAT + 1}, and this drkit reads {FORMAT}") as raised:
        read(path)
    assert "9.0.0" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "it has no begin"),
        (b"\x00\xff\n", "it has no begin"),
        (b'["begin"]\n', "it has no begin"),
        (b'{"entry":"begin","format":1}\n', "it has no begin"),
        (b'{"entry":"end","at":1.0,"how":"done"}\n', "it has no begin"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: bytes, says: str) -> None:
    """With what it lacks, and what to name instead."""
    path = tmp_path / "record.jsonl"
    path.write_bytes(text)
    with pytest.raises(UsageError, match=says) as raised:
        read(path)
    assert "drkit drill run" in raised.value.hint


def test_two_records_in_one_are_refused(tmp_path: Path) -> None:
    """A record is of one drill."""
    path = story().write(tmp_path / "record.jsonl")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(UsageError, match="more than one begin"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As is a directory."""
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"due": "soon"},
        {"at": None},
        {"sent": float("nan")},
        {"due": float("inf")},
        {"number": 1.5},
        {"number": 10**30},
        {"outcome": "great"},
        {"row": "first"},
        {"row": 1, "timeline": "new"},
        {"probe": ["page"]},
    ],
    ids=str,
)
def test_a_question_with_something_else_in_it_is_refused(tmp_path: Path, damage: dict[str, object]) -> None:
    """A record that was changed by hand ends in an error that says so, never in a verdict by accident."""
    path = story().write(tmp_path / "record.jsonl")
    line = json.dumps({**json.loads(to_line(story().asked[40])), **damage}).encode()
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(UsageError, match="is no record of a drill"):
        read(path)


@pytest.mark.parametrize("change", [{"every": 0}, {"every": "often"}, {"timeout": -1.0}, {"window": -1.0}], ids=str)
def test_a_drill_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Its times are what everything is counted by."""
    begin, *others = story().entries()
    assert isinstance(begin, Begin)
    probes = [{**each, **change} for each in begin.drill["probes"]]
    path = tmp_path / "record.jsonl"
    entries = [replace(begin, drill={**begin.drill, "probes": probes}), *others]
    path.write_bytes(b"".join(to_line(each) for each in entries))
    with pytest.raises(UsageError, match="no drill"):
        read(path)


@pytest.mark.parametrize(
    ("ranges", "refused"), [([["a", "b"]], True), ([[None, 2]], True), ([[1]], False), ([1], False)]
)
def test_rows_with_something_else_in_them_are_not_believed(tmp_path: Path, ranges: list[object], refused: bool) -> None:
    """An entry that is none is passed over; one that says what cannot be makes the record none."""
    drill = typical()
    path = drill.write(tmp_path / "record.jsonl")
    line = {"entry": Rows.kind, "at": 73.0, "probe": "write/main-db", "instance": "x", "role": "replica"}
    path.write_bytes(path.read_bytes() + json.dumps({**line, "ranges": ranges}).encode() + b"\n")
    if refused:
        with pytest.raises(UsageError, match="is no record of a drill"):
            read(path)
    else:
        assert read(path) == judge(drill.entries())
