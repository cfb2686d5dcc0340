"""When jobs are due: cron's lines, missed runs, daylight saving, clocks that are set."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.cron import cron
from drkit.schedule.timing import CORRECTION, Times, after, believable, due

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    terms = st.one_of(
        number.map(str), st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"), st.just("*")
    )
    return st.one_of(terms, st.tuples(st.just("*"), st.integers(2, 7)).map(lambda pair: f"*/{pair[1]}"))


LINES = st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)).map(" ".join)


@pytest.mark.parametrize(
    "text",
    ["0 3 * * *", "0 */6 * * *", "*/15 8-18 * * MON-FRI", "5,35 0 1 JAN,jul *", "0 0 29 2 *", "0 0-23/2 * * 0"],
)
def test_lines_that_debian_and_kubernetes_know_are_taken(text: str) -> None:
    """A schedule of cron's five fields is taken as it is."""
    assert cron(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found 0 fields"),
        ("0 3 * *", "found 4 fields"),
        ("0 0 3 * * *", "found 6 fields"),
        ("@daily", "found 1 fields"),
        ("60 3 * * *", "bad minute"),
        ("x 3 * * *", "x is no minute"),
        ("0 3 L * *", "L is no day of the month"),
        ("0 3 * * 1#2", "1#2 is no day of the week"),
        ("5/15 * * * *", "5/15 is no minute"),
        ("0 3 * * 7", "Sunday is 0"),
        ("0 3 * * 1-7/2", "Sunday is 0"),
        ("0 3 30 2 *", "bad day-of-month"),
        ("0 3 * * 5-2", "bad day-of-week"),
    ],
)
def test_other_lines_are_refused(text: str, said: str) -> None:
    """What would never come, or would mean different things in different places, is refused with the field's name."""
    with pytest.raises(ValueError, match="expected") as error:
        cron(text)
    assert said in str(error.value)


@given(LINES, MOMENTS)
def test_due_times_are_those_that_match(text: str, moment: datetime) -> None:
    """In two days from any moment, due is every minute that matches the line, and no other."""
    wanted, each = [], moment.replace(second=0, microsecond=0)
    while each < moment + 2 * DAY:
        if each > moment and _matches(text, each):
            wanted.append(each)
        each += MINUTE
    found: list[datetime] = []
    last = moment
    while len(found) <= len(wanted) and (last := after(Times(text), last)) < moment + 2 * DAY:
        found.append(last)
    assert found == wanted


def _matches(text: str, moment: datetime) -> bool:
    minute, hour, day, month, weekday = text.split()
    days = [_has(day, moment.day, 1), _has(weekday, moment.isoweekday() % 7, 0)]
    on_day = all(days) if day.startswith("*") or weekday.startswith("*") else any(days)
    return on_day and _has(minute, moment.minute, 0) and _has(hour, moment.hour, 0) and _has(month, moment.month, 1)


def _has(field: str, value: int, lowest: int) -> bool:
    if field.startswith("*"):
        return (value - lowest) % int(field.partition("/")[2] or 1) == 0
    low, _, high = field.partition("-")
    return int(low) <= value <= int(high or low)


@given(st.integers(0, 59), st.integers(0, 23), ZONES, st.integers(2020, 2029))
def test_a_daily_job_comes_once_on_every_day_of_every_year(minute: int, hour: int, zone: str, year: int) -> None:
    """Where the night has an hour too few or too many as well: once, and never at another date."""
    times, there = Times(f"{minute} {hour} * * *", zone), ZoneInfo(zone)
    moment = datetime(year, 1, 1, tzinfo=there) - MINUTE / 2
    dates = Counter[str]()
    while (moment := after(times, moment)) < datetime(year + 1, 1, 1, tzinfo=there):
        dates[str(moment.astimezone(there).date())] += 1
    assert len(dates) == (datetime(year + 1, 1, 1, tzinfo=UTC) - datetime(year, 1, 1, tzinfo=UTC)).days
    assert set(dates.values()) == {1}


def test_an_hour_that_does_not_exist_is_made_up_for_right_after_it() -> None:
    """02:30 on the night when 02:00 becomes 03:00 is 03:00, and once."""
    begin = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    times = Times("30 2 * * *", "Europe/Berlin")
    first = after(times, begin)
    assert first == datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN).astimezone(UTC)
    assert after(times, first) == datetime(2026, 3, 30, 2, 30, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize("begin_minute", [0, 29, 30, 31, 59, 60, 80, 119])
def test_an_hour_that_exists_twice_is_taken_once(begin_minute: int) -> None:
    """02:30 on the night when 03:00 becomes 02:00 is its first time, wherever in these two hours one looks from."""
    begin = datetime(2026, 10, 25, 0, 0, tzinfo=UTC) + timedelta(minutes=begin_minute)
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    following = datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert after(Times("30 2 * * *", "Europe/Berlin"), begin) == (first if begin < first else following)


def test_what_comes_every_half_hour_goes_by_the_time_that_passes() -> None:
    """A line for every hour comes every half hour through the night with an hour twice, and the one with a gap."""
    for begin in (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC)):
        moment = begin
        for number in range(1, 13):
            moment = after(Times("*/30 * * * *", "Europe/Berlin"), moment)
            assert moment == begin + number * HOUR / 2


@given(LINES, ZONES, MOMENTS, st.lists(st.floats(-3, 72), min_size=1, max_size=12))
def test_every_due_time_is_served_once_however_the_clock_goes(
    text: str, zone: str, begin: datetime, hours: list[float]
) -> None:
    """A clock that stands still, leaps, or goes back by up to three hours: no run comes twice, none is lost."""
    times, served, now, latest = Times(text, zone), begin, begin, begin
    runs: list[datetime] = []
    for step in hours:
        now = max(now + timedelta(hours=step), latest - CORRECTION)
        latest = max(latest, now)
        served = believable(served, now)
        while (found := due(times, served, now)) is not None:
            assert served < found.at <= now
            runs.append(found.at)
            served = found.at
    assert runs == sorted(set(runs))
    assert after(times, served) > latest
    assert after(times, begin) > latest or runs


@given(LINES, ZONES, MOMENTS, st.integers(4, 24 * 365 * 10))
def test_a_clock_that_was_far_ahead_does_not_stop_a_job(text: str, zone: str, now: datetime, hours: int) -> None:
    """After a clock was put right by hours or years, the next run is the next one by the right clock."""
    served = now + timedelta(hours=hours)
    assert due(Times(text, zone), believable(served, now), now) is None
    assert after(Times(text, zone), believable(served, now)) == after(Times(text, zone), now)


def test_many_missed_runs_are_one() -> None:
    """Due every minute for a year is one run, at the latest time; due once in that year is not forgotten."""
    begin, now = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    minutely = due(Times("* * * * *"), begin, now)
    assert minutely is not None
    assert minutely.at == now.replace(second=0)
    assert minutely.times > 1000
    yearly = due(Times("0 3 5 2 *"), begin, now)
    assert yearly is not None
    assert (yearly.at, yearly.times) == (datetime(2025, 2, 5, 3, tzinfo=UTC), 1)
