"""What the vaults hold, put together from their answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drkit.errors import NoSuchPoint, VerificationFailed, WrongKey
from drkit.points.descriptor import FAILED, OK, PARTIAL, Verification, encode_verification
from tests.unit import builders
from tests.unit.builders import NOON
from tests.unit.filled import Vaults


def test_a_point_in_two_vaults_is_one() -> None:
    """The descriptors of one run in two vaults are one point, which names both."""
    box = Vaults()
    point = box.seal(NOON, ("cluster", "databases"))
    (found,) = box.catalogue().points
    assert (found.id, found.complete, set(found.vaults)) == (point, True, {"cluster", "databases"})


def test_points_are_listed_newest_first() -> None:
    """The first point is the one that ``latest`` means, in whatever order and vault they were made."""
    box = Vaults()
    made = [
        box.seal(NOON - timedelta(hours=1)),
        box.seal(NOON, ("cluster",)),
        box.seal(NOON - timedelta(hours=2), ("cluster", "databases")),
    ]
    assert [point.id for point in box.catalogue().points] == [made[1], made[0], made[2]]
    assert box.catalogue().find("latest").id == made[1]


def test_an_archive_that_is_gone_makes_its_point_incomplete() -> None:
    """What somebody deleted behind drkit's back is named, and cannot be restored from."""
    box = Vaults()
    point = box.seal(NOON, ("cluster", "databases"))
    del box.archives["databases"][f"docfast.{point}.databases-source"]
    (found,) = box.catalogue().points
    assert not found.complete
    assert found.missing == ("database/databases",)
    assert [each.name for each in found.whole_sources] == ["database/cluster"]


@pytest.mark.parametrize(
    ("statuses", "drawn", "complete"),
    [
        ((OK, OK), "cluster", True),
        ((FAILED, OK), "databases", True),
        ((PARTIAL, OK), "databases", True),
        ((OK, FAILED), "cluster", True),
        ((FAILED, PARTIAL), "databases", False),
        ((PARTIAL, PARTIAL), "cluster", False),
    ],
)
def test_the_best_of_several_archives_is_drawn_on(statuses: tuple[str, str], drawn: str, complete: bool) -> None:
    """Whole before in part, and else the first vault's; the point says in which vaults it is not whole."""
    box = Vaults()
    sealed = box.seal_twice(*statuses)
    (point,) = box.catalogue().points
    assert [(each.name, each.vault) for each in point.sources] == [("datastore", drawn)]
    assert point.complete is sealed.complete is complete
    lacking = {vault for vault, status in zip(box.archives, statuses, strict=True) if status != OK}
    assert set(point.incomplete_in) == set(sealed.incomplete_in) == lacking
    assert [each.vault for each in point.drawn_on(sealed).sources] == [drawn]


def test_a_vault_that_is_gone_or_silent_is_passed_over() -> None:
    """One whose archives are gone counts as lost; one that did not answer as whole, and is not drawn on."""
    box = Vaults()
    box.seal_twice(OK, OK)
    box.archives["cluster"].clear()
    (point,) = box.catalogue().points
    assert (point.complete, point.missing, point.incomplete_in) == (True, (), ("cluster",))
    assert [each.vault for each in point.whole_sources] == ["databases"]
    (point,) = box.catalogue("databases").points
    assert (point.complete, point.incomplete_in, point.silent) == (True, (), frozenset({"cluster"}))
    assert [each.vault for each in point.whole_sources] == ["databases"]
    assert [each.vault for each in point.part("databases")] == ["databases"]


def test_an_archive_under_the_same_name_does_not_stand_in() -> None:
    """Another archive with the sealed name has another id, and does not count."""
    box = Vaults()
    point = box.seal(NOON)
    box.archives["databases"][f"docfast.{point}.databases-source"] = "another"
    assert box.catalogue().points[0].missing == ("database/databases",)


def test_a_vault_that_did_not_answer_proves_nothing_missing() -> None:
    """Archives in a vault that was not asked are not called missing."""
    box = Vaults()
    box.seal(NOON, ("cluster", "databases"))
    assert box.catalogue("cluster").points[0].complete


def test_a_changed_comment_is_a_problem_and_no_point() -> None:
    """A tampered summary is reported with its point and vault; the other points are listed."""
    box = Vaults()
    good, bad = box.seal(NOON), box.seal(NOON - timedelta(hours=1))
    box.comments["databases"][f"docfast.{bad}.point"] = "drkit1.AAAA.BBBB"
    catalogue = box.catalogue()
    assert [point.id for point in catalogue.points] == [good]
    (problem,) = catalogue.problems
    assert isinstance(problem, VerificationFailed)
    assert bad in problem.message
    assert "vault databases" in problem.message


def test_the_other_vault_still_gives_the_point() -> None:
    """A descriptor that was damaged in one vault is a problem; the point is known from the other."""
    box = Vaults()
    point = box.seal(NOON, ("cluster", "databases"))
    box.comments["cluster"][f"docfast.{point}.point"] = ""
    catalogue = box.catalogue()
    assert [set(each.vaults) for each in catalogue.points] == [{"databases"}]
    assert len(catalogue.problems) == 1


def test_a_summary_under_another_points_name_is_refused() -> None:
    """A sealed summary cannot be passed off as that of another run."""
    box = Vaults()
    old, new = box.seal(NOON - timedelta(hours=1)), builders.point_id(NOON)
    box.put("databases", f"docfast.{new}.point", box.comments["databases"][f"docfast.{old}.point"])
    catalogue = box.catalogue()
    assert [point.id for point in catalogue.points] == [old]
    assert isinstance(catalogue.problems[0], VerificationFailed)


def test_a_foreign_key_is_a_problem_of_its_kind() -> None:
    """What another key signed keeps the exit code of a wrong key."""
    box = Vaults()
    box.seal(NOON, key=builders.signer(2))
    catalogue = box.catalogue()
    assert catalogue.points == ()
    assert isinstance(catalogue.problems[0], WrongKey)
    with pytest.raises(WrongKey):
        catalogue.find("latest")


def test_archives_of_a_run_that_never_sealed_are_no_point() -> None:
    """What a run left that died is listed apart for each vault, and foreign archives not at all."""
    box = Vaults()
    box.seal(NOON)
    left = f"docfast.{builders.point_id(NOON + timedelta(hours=1))}.databases-source"
    box.put("databases", left)
    box.put("databases", "by hand")
    box.put("databases", f"other.{builders.point_id(NOON)}.databases-source")
    catalogue = box.catalogue()
    assert len(catalogue.points) == 1
    assert catalogue.unsealed == {"cluster": (), "databases": (left,)}


def test_the_deepest_and_newest_verification_counts() -> None:
    """A restore proves more than checksums, however old; among equals the newest is shown; the rest is passed over."""
    box = Vaults()
    point = box.seal(NOON)
    for day, level in (("02", "restored"), ("03", "restored"), ("04", "checksums")):
        record = Verification(f"2026-03-{day}T00:00:00Z", level)
        box.put(
            "databases",
            f"docfast.{point}.verified-202603{day}T000000Z",
            encode_verification(point, record, builders.signer()),
        )
    assert box.catalogue().points[0].verified == Verification("2026-03-03T00:00:00Z", "restored")


@pytest.mark.parametrize("comment", ["", "no JSON", "drkit1-verified.W10=.AAAA", "[" * 200_000])
def test_what_is_no_record_of_a_verification_proves_nothing(comment: str) -> None:
    """A comment of any other form is passed over, and the listing goes on."""
    box = Vaults()
    point = box.seal(NOON)
    box.put("databases", f"docfast.{point}.verified-20260302T000000Z", comment)
    assert box.catalogue().points[0].verified is None


def test_a_verification_of_a_stranger_or_of_another_point_proves_nothing() -> None:
    """Who can only write to the vault cannot call a point proven, with a key of their own or with another's record."""
    box = Vaults()
    point, other = box.seal(NOON), box.seal(NOON - timedelta(days=1))
    record = Verification("2026-03-02T00:00:00Z", "restored")
    box.put(
        "databases",
        f"docfast.{point}.verified-20260302T000000Z",
        encode_verification(point, record, builders.signer(9)),
    )
    box.put(
        "databases", f"docfast.{point}.verified-20260303T000000Z", encode_verification(other, record, builders.signer())
    )
    assert all(found.verified is None for found in box.catalogue().points)


def test_a_point_is_found_by_the_beginning_of_its_id() -> None:
    """The beginning of an id is enough as long as it means one point."""
    box = Vaults()
    one = box.seal(NOON)
    other = box.seal(NOON - timedelta(days=1))
    catalogue = box.catalogue()
    assert catalogue.find(one[:9]).id == one
    assert catalogue.find(other).id == other
    with pytest.raises(NoSuchPoint, match="2 recovery points"):
        catalogue.find("20260")
    with pytest.raises(NoSuchPoint, match="no recovery point"):
        catalogue.find("1999")


def test_an_empty_vault_has_no_latest_point() -> None:
    """Before the first backup there is nothing to find, and the hint says what to do."""
    with pytest.raises(NoSuchPoint) as nothing:
        Vaults().catalogue().find("latest")
    assert "drkit backup" in nothing.value.hint
