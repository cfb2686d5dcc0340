"""Retention, against Borg's own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from borg.helpers import prune_split  # type: ignore[import-untyped]  # Borg has no types
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import Keep
from drkit.points import retention
from tests.unit.builders import NOON, failed, point, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.points.point import Point

RULES = ("hourly", "daily", "weekly", "monthly", "yearly")
_AGES = st.lists(st.integers(0, 900 * 24), min_size=1, max_size=40, unique=True)
_KEEP = st.fixed_dictionaries({rule: st.integers(0, 6) for rule in RULES}).filter(lambda keep: any(keep.values()))


@dataclass(frozen=True)
class _BorgArchive:
    """What ``borg prune`` looks at."""

    id: str
    ts: datetime


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Borg judges in local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _points(hours_ago: list[int]) -> list[Point]:
    return [point(NOON - timedelta(hours=age), tail=f"{age:06x}") for age in sorted(hours_ago)]


def _borg_keeps(points: list[Point], keep: dict[str, int]) -> dict[str, Any]:
    """What ``borg prune`` does with its rules one after the other."""
    archives = [_BorgArchive(each.id, each.created) for each in points]
    because: dict[str, Any] = {}
    for rule in RULES:
        prune_split(archives, rule, keep[rule], because)
    return because


@given(_AGES, _KEEP)
def test_nothing_that_borg_keeps_is_removed(ages: list[int], keep: dict[str, int]) -> None:
    """Every point that a rule of ``borg prune`` keeps is kept, by the same rule and with the same number."""
    points = _points(ages)
    kept = retention.keep(points, Keep(**keep), "databases")
    for archive, (rule, number) in _borg_keeps(points, keep).items():
        oldest = rule.endswith("[oldest]")
        assert kept[archive] == (f"{rule.removesuffix('[oldest]')} oldest" if oldest else f"{rule} {number}")


@given(_AGES, _KEEP)
def test_more_is_kept_only_to_protect_the_last_good_copy(ages: list[int], keep: dict[str, int]) -> None:
    """What is kept beyond Borg's rules is kept for one of three reasons, which are named."""
    points = _points(ages)
    for name, reason in retention.keep(points, Keep(**keep), "databases").items():
        if name not in _borg_keeps(points, keep):
            assert reason.startswith(("newest complete", "newest verified", "last copy of"))


_FATES = st.lists(
    st.tuples(
        st.integers(0, 90 * 24),
        st.dictionaries(st.sampled_from(["database/a", "database/b", "globals/a"]), st.booleans(), min_size=1),
        st.booleans(),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda each: each[0],
)


@given(_FATES, _KEEP)
def test_the_last_good_copy_survives_every_rule(
    fates: list[tuple[int, dict[str, bool], bool]], keep: dict[str, int]
) -> None:
    """Whatever fails for however long: the newest complete and verified points and each source's last copy stay."""
    points = [
        point(
            NOON - timedelta(hours=age),
            [source(name) if whole else failed(name) for name, whole in sources.items()],
            verified="restored" if verified else None,
            tail=f"{age:06x}",
        )
        for age, sources, verified in sorted(fates, key=lambda each: each[0])
    ]
    kept = retention.keep(points, Keep(**keep), "databases")
    for good in (
        [each for each in points if each.complete],
        [each for each in points if each.verified],
        *([each for each in points if name in {one.name for one in each.whole_sources}]
          for name in ("database/a", "database/b", "globals/a")),
    ):  # fmt: skip
        assert not good or good[0].id in kept


def test_databases_do_not_take_the_place_of_a_cluster() -> None:
    """In a vault with both, seven days of each are kept, though each day's newest point has databases alone."""
    points = [
        point(NOON - timedelta(days=day, hours=hours), [source(name, vault="offsite")], tail=f"{day:03x}{hours:03x}")
        for day in range(10)
        for hours, name in ((1, "database/billing"), (7, "database/billing"), (9, "manifests"))
    ]
    rules = Keep(daily=7, weekly=0)
    kept = [each for each in points if each.id in retention.keep(points, rules, "offsite")]
    assert [each.summary.sources[0].kind for each in kept] == ["database", "manifests"] * 7
    assert list(retention.keep(points, rules, "elsewhere")) == [points[0].id]


def test_retention_never_removes_everything() -> None:
    """One point alone is kept under any rule."""
    for rule in RULES:
        assert retention.keep(_points([5]), Keep(**{**dict.fromkeys(RULES, 0), rule: 1}), "databases")


def test_no_points_are_no_trouble() -> None:
    """An empty vault has nothing to keep."""
    assert retention.keep([], Keep(), "databases") == {}


def test_a_point_does_not_stay_for_what_it_has_in_another_vault() -> None:
    """One run over both vaults between runs over one each leaves in neither vault a part that only the other needs."""
    mixed = [source("database/a"), source("datastore", vault="cluster")]
    old = point(NOON - timedelta(days=40), mixed, tail="aaaaaa")
    for vault, own in (("databases", mixed[0]), ("cluster", mixed[1])):
        newer = point(NOON, [own], tail="bbbbbb")
        assert set(retention.keep([newer, old], Keep(daily=1, weekly=0), vault)) == {newer.id}


def test_seven_days_and_four_weeks_are_kept_by_default() -> None:
    """Left out, ``keep`` is the newest point of each of 7 days, and of each of 4 weeks before those."""
    points = [point(NOON - timedelta(hours=6 * number), tail=f"{number:06x}") for number in range(4 * 60)]
    kept = retention.keep(points, Keep(), "databases")
    assert list(kept.values()) == [f"daily {number}" for number in range(1, 8)] + [
        f"weekly {number}" for number in range(1, 5)
    ]
