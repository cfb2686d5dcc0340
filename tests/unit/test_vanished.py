"""What is missed of what was sealed, and what is not."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import Keep
from drkit.points import pins, retention
from drkit.points.pins import Pins
from drkit.points.prune import not_due
from drkit.points.vanished import CHANGED, GONE, Looked, look
from tests.unit.builders import NOON, point_id
from tests.unit.filled import VERIFIER, Vaults

BOTH = ("cluster", "databases")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def looked(box: Vaults, remembered: dict[str, Pins] | None = None, keep: Keep | None = None) -> dict[str, Looked]:
    """What is seen in the vaults by a machine that remembers this; by default nothing."""
    known = dict.fromkeys(box.archives, Pins()) | (remembered or {})
    return look("docfast", box.listings(), known, dict.fromkeys(box.archives, keep or Keep()), VERIFIER)


def missed(box: Vaults, remembered: dict[str, Pins] | None = None, keep: Keep | None = None) -> set[tuple[str, str]]:
    """The archives that are missed, and what of them."""
    return {(each.archive, each.what) for found in looked(box, remembered, keep).values() for each in found.vanished}


def remembered(box: Vaults) -> dict[str, Pins]:
    """What a machine remembers that looks now."""
    return {each.vault: pins.of("docfast", each) for each in box.listings()}


def test_nothing_is_missed_where_nothing_is_gone() -> None:
    """What is there as it was sealed is well, seen before or not."""
    box = Vaults()
    for age in range(3):
        box.seal(NOON - age * DAY, BOTH)
    assert missed(box) == missed(box, remembered(box)) == set()


def test_an_archive_that_a_descriptor_pins_is_missed() -> None:
    """Gone or replaced, it is named, on a machine that never looked before too."""
    box = Vaults()
    older, newer = box.seal(NOON - DAY), box.seal(NOON)
    for point in (older, newer):
        box.remove("databases", point, "databases-source")
    box.put("databases", f"docfast.{newer}.databases-source")
    assert missed(box) == {
        (f"docfast.{older}.databases-source", GONE),
        (f"docfast.{newer}.databases-source", CHANGED),
    }


def test_a_point_that_is_gone_as_a_whole_is_missed_by_who_saw_it() -> None:
    """The descriptor went with its archives, and no other vault has it: this machine remembers them all."""
    box = Vaults()
    box.seal(NOON - DAY)
    point = box.seal(NOON)
    known = remembered(box)
    box.remove("databases", point)
    assert missed(box) == set()
    assert missed(box, known) == {(f"docfast.{point}.{name}", GONE) for name in ("databases-source", "point")}


def test_a_part_that_is_gone_from_one_vault_is_missed_for_the_other() -> None:
    """The descriptor in the other vault pins it, also for a machine that never looked before."""
    box = Vaults()
    point = box.seal(NOON, BOTH)
    box.remove("databases", point)
    assert missed(box) == {(f"docfast.{point}.databases-source", GONE)}


def test_a_descriptor_that_was_replaced_is_missed() -> None:
    """Its summary may be the same; what it was, this machine knows by its id."""
    box = Vaults()
    point = box.seal(NOON)
    known = remembered(box)
    name = f"docfast.{point}.point"
    box.put("databases", name, box.comments["databases"][name])
    assert missed(box, known) == {(name, CHANGED)}


def test_a_record_of_a_verification_is_missed() -> None:
    """Without it retention might take the newest verified point for one that nobody needs."""
    box = Vaults()
    point = box.seal(NOON)
    name = f"docfast.{point}.verified-20260301T130000Z"
    box.put("databases", name)
    known = remembered(box)
    box.remove("databases", point, "verified")
    assert missed(box, known) == {(name, GONE)}


def test_what_was_seen_is_missed_under_a_key_that_is_believed_no_more() -> None:
    """Nobody can judge whether retention would keep it, so it counts."""
    box = Vaults()
    point = box.seal(NOON)
    known = {name: Pins(each.archives) for name, each in remembered(box).items()}
    box.remove("databases", point)
    assert {archive for archive, _ in missed(box, known)} == {
        f"docfast.{point}.databases-source",
        f"docfast.{point}.point",
    }


def test_what_retention_removes_anyway_is_not_missed() -> None:
    """Another machine has pruned it, or an earlier prune was cut short after it had removed the descriptor."""
    box = Vaults()
    first, second = box.seal(NOON - 2 * HOUR, BOTH), box.seal(NOON - HOUR, BOTH)
    box.seal(NOON, BOTH)
    known = remembered(box)
    box.remove("databases", first)
    box.remove("databases", second, "point")
    assert missed(box, known, Keep(daily=1, weekly=0)) == set()


def test_what_is_accepted_is_not_missed_again() -> None:
    """An archive whose loss the user knows of is no news on the next night; another one that replaces it is none."""
    box = Vaults()
    point = box.seal(NOON)
    name = f"docfast.{point}.databases-source"
    known = {"databases": Pins(accepted={name: box.archives["databases"][name]})}
    box.remove("databases", point, "databases-source")
    assert missed(box, known) == set()
    assert looked(box, known)["databases"].accepted == known["databases"].accepted
    box.remove("databases", point)
    assert not looked(box, known)["databases"].accepted


def test_a_part_on_its_way_is_neither_missed_nor_debris() -> None:
    """What is sealed in one vault and not yet in the other stays there, as long as retention keeps it."""
    box = Vaults()
    point = box.seal(NOON - 3 * DAY, BOTH)
    box.remove("databases", point, "point")
    assert missed(box) == set()
    archive, dead = f"docfast.{point}.databases-source", f"docfast.{point_id(NOON - 4 * DAY)}.databases-source"
    assert not_due([archive, dead], looked(box)["databases"]) == [dead]


def test_other_clusters_and_what_people_made_by_hand_are_their_own() -> None:
    """Only what drkit sealed for this cluster is remembered."""
    box = Vaults()
    box.put("databases", "by hand")
    box.put("databases", f"other.{point_id(NOON)}.point")
    assert remembered(box)["databases"].archives == {}


_RUNS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([BOTH, ("databases",), ("cluster",)]), st.booleans(), st.booleans()),
    min_size=2,
    max_size=25,
)
_KEEP = st.builds(Keep, daily=st.integers(0, 3), weekly=st.integers(1, 3), yearly=st.integers(0, 2))


def prune(box: Vaults, keep: Keep) -> None:
    """As another machine does it."""
    points = box.catalogue().points
    for vault in BOTH:
        here = [point for point in points if vault in point.vaults]
        kept = retention.keep(here, keep, vault)
        for point in here:
            if point.id not in kept:
                box.remove(vault, point.id)


def history(runs: list[tuple[int, tuple[str, ...], bool, bool]], keep: Keep) -> tuple[Vaults, dict[str, Pins]]:
    """Vaults that were filled by these runs and pruned between them, and what somebody remembers who looked before."""
    box, known, now = Vaults(), dict.fromkeys(BOTH, Pins()), NOON
    for hours, vaults, pruned, seen in runs:
        now += hours * HOUR
        box.seal(now, vaults)
        if pruned:
            prune(box, keep)
        if seen:
            known = remembered(box)
    return box, known


@given(_RUNS, _KEEP)
def test_what_another_machine_prunes_is_never_missed(
    runs: list[tuple[int, tuple[str, ...], bool, bool]], keep: Keep
) -> None:
    """However long ago this machine looked: nothing that the rules removed since makes an alarm."""
    box, known = history(runs, keep)
    assert missed(box, known, keep) == set()


@given(_RUNS, _KEEP, st.data())
def test_what_retention_keeps_is_always_missed(
    runs: list[tuple[int, tuple[str, ...], bool, bool]], keep: Keep, data: st.DataObject
) -> None:
    """Whatever of a kept point's part goes, by whomever, from whichever vault: it is missed."""
    box, _ = history(runs, keep)
    prune(box, keep)
    known = remembered(box)
    every = sorted((vault, name) for vault in BOTH for name in box.archives[vault])
    vault, name = data.draw(st.sampled_from(every))
    box.remove(vault, name.split(".")[1], data.draw(st.sampled_from(["", name.split(".")[2]])))
    assert (name, GONE) in missed(box, known, keep)


@given(_RUNS, _KEEP)
def test_what_a_machine_remembers_does_not_grow(
    runs: list[tuple[int, tuple[str, ...], bool, bool]], keep: Keep
) -> None:
    """One that seals and never prunes remembers what retention would keep, and no more."""
    box, now, known = Vaults(), NOON, Pins()
    for hours, _, _, _ in runs:
        now += hours * HOUR
        box.seal(now)
        known = pins.added("docfast", known, box.listings("databases")[0], keep, VERIFIER)
    kept = retention.keep(box.catalogue("databases").points, keep, "databases")
    assert {name.split(".")[1] for name in known.archives} == set(kept)
