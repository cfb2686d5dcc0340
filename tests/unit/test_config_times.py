"""Times as people write them into the configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.times import Hours, hours, seconds

MINUTES = st.integers(0, 24 * 60 - 1)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01:00-05:00", Hours(60, 300)),
        ("22:30 – 04:00", Hours(22 * 60 + 30, 240)),
        ("00:00-24:00", Hours(0, 24 * 60)),
        ("01:00-05:00 Europe/Berlin", Hours(60, 300, "Europe/Berlin")),
    ],
)
def test_hours_are_understood(text: str, expected: Hours) -> None:
    """A part of a day is read with its time zone, and is written as it can be read again."""
    assert hours(text) == expected
    assert hours(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "1-5", "01:00", "01:00-25:00", "01:00-24:01", "03:00-03:00", "01:00-02:00 UTC x", 5]
)
def test_what_are_no_hours_is_refused(text: object) -> None:
    """Everything else is said to be none, with an example."""
    with pytest.raises(ValueError, match="hours of a day"):
        hours(text)


@given(begin=MINUTES, end=MINUTES, moment=MOMENTS)
def test_a_moment_is_in_hours_or_in_the_others(begin: int, end: int, moment: datetime) -> None:
    """The hours from one time to another, and those back, share no moment and leave none out."""
    if begin != end:
        assert Hours(begin, end).contain(moment) != Hours(end, begin).contain(moment)


@given(begin=MINUTES, length=st.integers(1, 24 * 60 - 1), moment=MOMENTS)
def test_hours_last_as_long_as_they_say(begin: int, length: int, moment: datetime) -> None:
    """Of the minutes of a day as many are in them as lie between their begin and their end."""
    day = Hours(begin, (begin + length) % (24 * 60))
    assert sum(day.contain(moment + timedelta(minutes=each)) for each in range(24 * 60)) == length


def test_midnight_is_that_of_the_time_zone() -> None:
    """One in the morning in Berlin is midnight UTC in winter, and eleven in the evening in summer."""
    berlin = hours("01:00-02:00 Europe/Berlin")
    assert berlin.contain(datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
    assert not berlin.contain(datetime(2026, 7, 1, 0, 30, tzinfo=UTC))
    assert berlin.contain(datetime(2026, 6, 30, 23, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(15, 15), (0.5, 0.5), ("15", 15), ("200ms", 0.2), ("90 m", 5400), ("1m30s", 90), ("26h", 93600), ("7d", 604800)],
)
def test_lengths_are_understood(value: object, expected: float) -> None:
    """Numbers are seconds; texts may have units, as Go writes them too."""
    assert seconds(value) == pytest.approx(expected)


@pytest.mark.parametrize(
    "value", ["", "h", "26x", "1h and 5m", "-1h", -1, True, None, "1e3s", "999999999d", float("nan")]
)
def test_what_is_no_length_is_refused(value: object) -> None:
    """Everything else is said to be none, with an example."""
    with pytest.raises(ValueError, match="26h"):
        seconds(value)
