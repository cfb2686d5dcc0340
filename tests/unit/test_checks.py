"""The pure parts of ``drkit check``."""

from __future__ import annotations

import pytest

from drkit.checks.clocks import skew
from drkit.checks.vaults import Room, room_of

DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000000 {used} {free} 91% /home\n"


@pytest.mark.parametrize(
    ("theirs", "bad", "said"),
    [
        ("100.5", False, "its clock agrees with ours"),
        ("103.0", False, "its clock agrees with ours"),
        ("110.000000000", True, "its clock is 9.5 s ahead of ours"),
        ("40.500000000", True, "its clock is 60.0 s behind ours"),
        ("100.%N", False, "its clock agrees with ours"),
        ("110.N", True, "its clock is 10.0 s ahead of ours"),
    ],
)
def test_a_clock_is_wrong_where_it_is_certainly_so(theirs: str, bad: bool, said: str) -> None:
    """What the question took is no fault of the clock; asked between 100 and 101."""
    found = skew(100.0, f"{theirs}\n", 101.0)
    assert found is not None
    assert (found.bad, str(found)) == (bad, said)


@pytest.mark.parametrize("theirs", ["", "date: invalid", "borg 1.4.0"])
def test_what_is_no_time_is_none(theirs: str) -> None:
    """A far side that answers with something else has said nothing about its clock."""
    assert skew(1.0, theirs, 2.0) is None


def test_room_is_read_from_df() -> None:
    """Used and free are columns of POSIX's df; of anything else nothing is known."""
    assert room_of(DF.format(used=900000, free=100000)) == Room(102400000, 1024000000)
    full = room_of(DF.format(used=990000, free=10000))
    assert full is not None
    assert full.scarce
    for other in ("", "borg 1.4.0\n", "a b c\nd e f\n"):
        assert room_of(other) is None
