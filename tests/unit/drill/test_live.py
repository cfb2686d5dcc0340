"""A record that is still being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.live import Faring, Live, unwell
from drkit.drill.record import FAILED, OK, Asked, Recorder, to_line

if TYPE_CHECKING:
    from pathlib import Path


def asked(number: int, outcome: str = OK, probe: str = "page", *, session: bool = False) -> Asked:
    """A question that left in time."""
    return Asked(number + 0.1, probe, number, float(number), float(number), outcome, session, "timeout")


def test_a_record_is_followed_from_where_it_was_left(tmp_path: Path) -> None:
    """Each look takes in what came since the last one, and a line that is half written is read when it is whole."""
    path = tmp_path / "record.jsonl"
    with Recorder(path, 0.0) as recorder:
        live = Live(path, [("page", False)])
        recorder.write(asked(0))
        assert live.look()["page", False].in_a_row == 1
        line = to_line(asked(1))
        with path.open("ab") as file:
            file.write(line[:20])
            file.flush()
            assert live.look()["page", False].asked == 1
            file.write(line[20:])
        recorder.write(asked(2, FAILED))
        recorder.write(asked(3))
    faring = live.look()["page", False]
    assert (faring.asked, faring.failed, faring.in_a_row, faring.well_since) == (4, 1, 1, 3.0)


def test_what_nobody_expects_is_left_alone(tmp_path: Path) -> None:
    """A session is a series of its own, and one that was not asked for is not followed."""
    path = tmp_path / "record.jsonl"
    with Recorder(path, 0.0) as recorder:
        recorder.write(asked(0, session=True))
    assert Live(path, [("page", False)]).look() == {("page", False): Faring()}


def test_well_is_who_has_answered_well_for_long_enough_and_still_does() -> None:
    """Silence, failures and a short time of success are each told by what they are."""
    well = Faring(100, 1, 50, 10.0, 20.0)
    series = {
        ("page", False): well,
        ("page", True): Faring(),
        ("read", False): Faring(3, 1, 0, None, 20.0, "refused"),
        ("write", False): Faring(30, 0, 3, 17.0, 20.0),
        ("api", False): Faring(30, 0, 3, 1.0, 12.0),
    }
    assert unwell(series.items(), 20.2, 10, 5) == [
        "page (session) has not answered yet",
        "read fails: refused",
        "write is well for 3 s",
        "api has had no answer for 8 s",
    ]
    assert unwell([(("page", False), well)], 20.0, 10, 5) == []
