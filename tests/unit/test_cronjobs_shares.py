"""Databases shared out to pods: all of them, evenly, and the same way again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drkit.cronjobs.shares import share_out

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=1, max_size=8)
SIZES = st.dictionaries(NAMES, st.one_of(st.just(0), st.integers(0, 10**13)), max_size=30)
SHARES = st.integers(1, 12)


def _placed(shares: tuple[tuple[str, ...], ...]) -> dict[str, int]:
    return {name: index for index, share in enumerate(shares) for name in share}


@given(SIZES, SHARES, st.dictionaries(NAMES, st.integers(-2, 20), max_size=30))
def test_each_is_in_one_share_and_none_is_too_large(sizes: dict[str, int], shares: int, before: dict[str, int]) -> None:
    """Whatever was before, no share is larger than its part of the whole and the largest database together."""
    found = share_out(sizes, shares, before)
    assert len(found) == shares
    assert sorted(name for share in found for name in share) == sorted(sizes)
    most = sum(sizes.values()) / shares + max(sizes.values(), default=0)
    assert all(sum(sizes[name] for name in share) <= most * (1 + 1e-9) for share in found)


@given(SIZES, SHARES, st.randoms(use_true_random=False))
def test_the_order_in_which_databases_are_told_does_not_matter(
    sizes: dict[str, int], shares: int, chance: object
) -> None:
    """Two machines that know the same come to the same."""
    names = list(sizes)
    chance.shuffle(names)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert share_out({name: sizes[name] for name in names}, shares, {}) == share_out(sizes, shares, {})


@given(SIZES, SHARES)
def test_nothing_moves_where_nothing_changed(sizes: dict[str, int], shares: int) -> None:
    """Shared out once more, every database is where it was."""
    found = share_out(sizes, shares, {})
    assert share_out(sizes, shares, _placed(found)) == found


@given(st.dictionaries(NAMES, st.just(1000), min_size=1, max_size=30), SHARES, st.sets(NAMES, max_size=5), st.data())
def test_those_that_come_and_go_move_no_other(
    sizes: dict[str, int], shares: int, new: set[str], data: st.DataObject
) -> None:
    """Of databases alike in size, those that stay are where they were while no share became too large."""
    before = _placed(share_out(sizes, shares, {}))
    gone = data.draw(st.sets(st.sampled_from(sorted(sizes)), max_size=1))
    now = dict.fromkeys({*sizes, *new} - gone, 1000)
    after = _placed(share_out(now, shares, before))
    moved = {name for name in after if name in before and after[name] != before[name]}
    most = sum(now.values()) / shares + 1000
    crowded = {index for index in range(shares) if sum(1000 for name in now if before.get(name) == index) > most}
    assert {before[name] for name in moved} <= crowded


def test_those_of_unknown_size_are_spread_by_number() -> None:
    """A hundred databases that nobody has measured yet are ten in each of ten shares."""
    found = share_out({f"db{number:03}": 0 for number in range(100)}, 10, {})
    assert {len(share) for share in found} == {10}


def test_where_one_has_become_too_large_the_smallest_move() -> None:
    """A share beyond its bound keeps its largest, whose repository would cost most to fill again."""
    before = {"a": 0, "b": 0, "c": 0, "d": 1}
    found = share_out({"a": 100, "b": 90, "c": 1, "d": 1}, 2, before)
    assert found == (("a", "b", "c"), ("d",))
    found = share_out({"a": 100, "b": 100, "c": 100, "d": 1}, 3, dict.fromkeys("abcd", 0))
    assert found[0] == ("a", "b")
