"""Names of archives."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.points import names

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150)
_MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds are naive by contract


@given(_TEXT, _TEXT, _MOMENTS)
def test_names_survive_the_way_through_text(cluster: str, part: str, created: datetime) -> None:
    """Whatever cluster and source are called, the archive's name can be taken apart into what it was made of."""
    made = names.ArchiveName(names.slug(cluster), names.new_point(created), names.slug(part))
    assert names.parse(str(made)) == made


@given(_TEXT)
def test_slug_has_safe_characters_alone(text: str) -> None:
    """No character of a slug means anything to Borg, to a shell or to a pattern, nor does its beginning."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", names.slug(text), re.ASCII)
    assert len(names.slug(text)) <= 69


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("database/a", "database-a"),
        ("a/b", "a b"),
        ("{a}", "a"),
        ("a\nb", "a b"),
        ("数据", "数库"),
        ("x" * 60 + "1", "x" * 60 + "2"),
        ("/", "-"),
        ("-a", "a"),
    ],
)
def test_texts_that_look_alike_have_different_slugs(one: str, other: str) -> None:
    """Two sources whose names differ only in what a slug drops never share an archive's name."""
    assert names.slug(one) != names.slug(other)


@given(st.sets(_TEXT.filter(lambda text: not re.fullmatch(r"[A-Za-z0-9_-]*", text)), max_size=30))
def test_slugs_of_unsafe_texts_are_unique(texts: set[str]) -> None:
    """Texts that a slug has to change stay apart by their hash."""
    assert len({names.slug(text) for text in texts}) == len(texts)


def test_safe_texts_stay_readable() -> None:
    """A name that is safe already is its own slug."""
    assert names.slug("docfast_staging-2") == "docfast_staging-2"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "docfast",
        "docfast-2026-03-01",
        "a.20260301T120000Z-abc123.point.checkpoint",
        "a.20260301T120000Z-abc123.point\n",
        "a.20260301T120000Z-ABC123.point",
        "a/b.20260301T120000Z-abc123.point",
        ".20260301T120000Z-abc123.point",
    ],
)
def test_foreign_archives_are_not_taken_for_ours(name: str) -> None:
    """An archive that drkit did not name has no parts."""
    assert names.parse(name) is None


@given(_MOMENTS)
def test_point_ids_tell_their_time(created: datetime) -> None:
    """The time in an id is that of the run, to the second."""
    assert names.time_of(names.new_point(created)) == created.replace(microsecond=0)


@given(_MOMENTS, _MOMENTS)
def test_point_ids_sort_by_time(one: datetime, other: datetime) -> None:
    """Ids sort as their runs began."""
    if one.replace(microsecond=0) < other.replace(microsecond=0):
        assert names.new_point(one) < names.new_point(other)


@pytest.mark.parametrize("point", ["20260231T000000Z-abc123", "20260101T250000Z-abc123", "x", ""])
def test_an_impossible_time_is_none(point: str) -> None:
    """An id with the 31st of February has no time, and is no error either."""
    assert names.time_of(point) is None


def test_two_points_in_one_second_differ() -> None:
    """Two runs that begin in the same second have different ids."""
    now = datetime.now(UTC)
    assert len({names.new_point(now) for _ in range(50)}) == 50
