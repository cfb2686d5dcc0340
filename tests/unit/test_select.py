"""Which archives a restore draws on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import NoSuchPoint, PreflightFailed
from drkit.points.select import aligned, exactly, matches, recovery_set
from tests.unit.builders import NOON, failed, point, source

if TYPE_CHECKING:
    from drkit.points.point import Point

HOUR = timedelta(hours=1)
A, B = "database/a", "database/b"


def _drawn(points: list[Point], hours_ago: int | None = None) -> dict[str, str]:
    at = None if hours_ago is None else NOON - hours_ago * HOUR
    return {each.source.name: each.point.id for each in recovery_set(points, at=at).chosen}


def test_each_source_comes_from_its_newest_whole_copy() -> None:
    """A daily and a six-hourly backup combine into one recovery set."""
    newest, older = point(NOON, [source(A)]), point(NOON - HOUR, [source(A), source("manifests")])
    assert _drawn([newest, older]) == {A: newest.id, "manifests": older.id}


def test_a_time_excludes_what_came_after_it() -> None:
    """What was backed up after the asked time is not drawn on; what was backed up at that time is."""
    points = [point(NOON - number * HOUR, [source(A)]) for number in range(4)]
    assert _drawn(points, 2) == {A: points[2].id}


def test_an_incomplete_point_is_named_where_it_is_drawn_on() -> None:
    """What comes from a point that failed in part is never drawn on in silence."""
    chosen = recovery_set([point(NOON, [source(A), failed(B)])])
    assert any("incomplete" in warning and f"{B} failed" in warning for warning in chosen.warnings)


def test_a_source_that_failed_lately_is_named() -> None:
    """Where the newest point lacks a source, the warning says which older point it comes from."""
    newest, older = point(NOON, [source(A), failed(B)]), point(NOON - HOUR, [source(A), source(B)])
    chosen = recovery_set([newest, older])
    assert _drawn([newest, older]) == {A: newest.id, B: older.id}
    assert any(B in warning and older.id in warning and newest.id in warning for warning in chosen.warnings)


def test_an_archive_that_is_gone_is_not_drawn_on() -> None:
    """A source whose archive was deleted comes from the point before, and the gap is named."""
    newest, older = point(NOON, [source(A), source(B)], missing=[B]), point(NOON - HOUR, [source(A), source(B)])
    assert _drawn([newest, older]) == {A: newest.id, B: older.id}
    assert any("gone or changed" in warning for warning in recovery_set([newest, older]).warnings)


def test_whole_points_give_no_warnings() -> None:
    """A warning means something."""
    points = [point(NOON, [source(A)]), point(NOON - HOUR, [source(A), source("manifests")])]
    assert recovery_set(points).warnings == ()


@pytest.mark.parametrize(("hours_ago", "says"), [(None, "yet"), (9, "by that time")])
def test_nothing_backed_up_is_an_error(hours_ago: int | None, says: str) -> None:
    """A restore from nothing says whether there is nothing at all, or nothing by that time."""
    points = [] if hours_ago is None else [point(NOON, [source(A)])]
    with pytest.raises(NoSuchPoint, match=says):
        _drawn(points, hours_ago)


_POINTS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["whole", "failed", "gone"]), min_size=1),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each[0],
)


@given(_POINTS, st.integers(-1, 21))
def test_the_recovery_set_is_the_newest_whole_copy_by_then(
    made: list[tuple[int, dict[str, str]]], hours_ago: int
) -> None:
    """For whatever failed and whenever: no source has a newer whole copy by that time than the one that is drawn on."""
    points = [
        point(
            NOON - hours * HOUR,
            [
                failed(f"database/{name}") if how == "failed" else source(f"database/{name}")
                for name, how in has.items()
            ],
            missing=[f"database/{name}" for name, how in has.items() if how == "gone"],
        )
        for hours, has in sorted(made, key=lambda each: each[0])
    ]
    expected: dict[str, int] = {}
    for hours, has in made:
        for name, how in has.items():
            if how == "whole" and hours >= hours_ago:
                expected[f"database/{name}"] = min(hours, expected.get(f"database/{name}", 99))
    if not expected:
        with pytest.raises(NoSuchPoint):
            _drawn(points, hours_ago)
    else:
        drawn = {name: (NOON - hours * HOUR) for name, hours in expected.items()}
        chosen = recovery_set(points, at=NOON - hours_ago * HOUR).chosen
        assert {each.source.name: each.point.created for each in chosen} == drawn


def test_what_belongs_to_a_datastore_comes_from_its_point() -> None:
    """A token and object counts are those of the snapshot's time, though newer ones were backed up; others stay new."""
    files, gone = "server-files/mgr", "server-files/new"
    newest = point(NOON, [failed("datastore"), source(files), source(gone), source("manifests"), source(A)])
    older = point(NOON - HOUR, [source("datastore"), source(files), source("manifests"), source(A)])
    chosen = aligned(recovery_set([newest, older]), "datastore", {"server-files", "manifests"})
    assert {each.source.name: each.point.id for each in chosen.chosen} == {
        "datastore": older.id,
        files: older.id,
        gone: newest.id,
        "manifests": older.id,
        A: newest.id,
    }
    without = recovery_set([newest])
    assert aligned(without, "datastore", {"server-files"}) == without


def test_one_point_is_taken_alone() -> None:
    """A point that was named gives its own sources and nothing of another point."""
    chosen = exactly(point(NOON, [source(A), source(B)]), accept_incomplete=False)
    assert [each.source.name for each in chosen.chosen] == [A, B]
    assert chosen.warnings == ()


def test_an_incomplete_point_has_to_be_accepted() -> None:
    """A point that failed in part is refused, and with consent gives what it has, with a warning."""
    half = point(NOON, [source(A), failed(B)])
    with pytest.raises(PreflightFailed, match=f"{B} failed") as refused:
        exactly(half, accept_incomplete=False)
    assert "--accept-incomplete" in refused.value.hint
    chosen = exactly(half, accept_incomplete=True)
    assert [each.source.name for each in chosen.chosen] == [A]
    assert len(chosen.warnings) == 1


def test_only_names_what_there_is_when_it_finds_nothing() -> None:
    """Asking for a source that nothing holds says what there is instead."""
    with pytest.raises(NoSuchPoint, match=f"no whole backup of database/x .*there is: {A}"):
        recovery_set([point(NOON, [source(A)])], only=["database/x"])
    with pytest.raises(NoSuchPoint, match=B):
        exactly(point(NOON, [source(A), failed(B)]), only=[B], accept_incomplete=True)


def test_only_keeps_what_it_names() -> None:
    """Several wishes add up, and nothing else is restored."""
    points = [point(NOON, [source(A), source(B), source("manifests")])]
    chosen = recovery_set(points, only=[A, "manifests"]).chosen
    assert [each.source.name for each in chosen] == [A, "manifests"]


@pytest.mark.parametrize(
    ("name", "wanted", "meant"),
    [
        ("database/postgres/main-db/docfast", "database/postgres/main-db/docfast", True),
        ("database/postgres/main-db/docfast", "database/main-db/docfast", True),
        ("database/postgres/main-db/docfast", "database/docfast", True),
        ("database/postgres/main-db/docfast", "databases/docfast", True),
        ("database/postgres/main-db/docfast", "database", True),
        ("database/postgres/main-db/docfast", "databases", True),
        ("database/postgres/main-db/docfast_staging", "database/docfast", False),
        ("database/postgres/main-db/docfast", "database/fast", False),
        ("database/postgres/main-db/docfast", "database/main-db", False),
        ("database/postgres/main-db/docfast", "docfast", False),
        ("database/billing", "manifests", False),
        ("globals/billing", "globals", True),
        ("globals/billing", "databases", True),
        ("globals/billing", "globals/billing", True),
        ("globals/billing", "databases/billing", False),
        ("globals/billing", "database/billing", False),
        ("manifests", "manifests", True),
        ("manifests", "databases", False),
        ("database/a b/{x}", "database/{x}", True),
    ],
)
def test_only_means_a_kind_or_a_name_or_its_end(name: str, wanted: str, *, meant: bool) -> None:
    """``KIND``, ``KIND/NAME`` and ``KIND/END-OF-NAME`` mean a source; half a word of a name does not."""
    assert matches(source(name), wanted) is meant
