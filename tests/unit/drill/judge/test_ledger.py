"""What became of writes that were acknowledged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drkit.drill.record import FAILED, OK, UNKNOWN, Rows
from drkit.drill.values import NOTHING_LOST, ONE_PRIMARY, SQL_WRITE
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST
from tests.unit.drill.judge.edits import asked, changed, judge, noted, story, told
from tests.unit.drill.records import Story, ranges

WRITE = "write"
FIRST, SECOND = "postgres/main-db-1", "postgres/main-db-2"


def _story(*holds: str) -> Story:
    """Writes that are out for 5 s: rows 24 to 33, the last one of them with an unknown outcome."""
    return story(0).probe(WRITE, SQL_WRITE, window=15.0, out=[(0.0, 5.0)]).holding(*(holds or (NOTHING_LOST,)))


def test_all_acknowledged_rows_on_all_instances_are_kept() -> None:
    """What was acknowledged, failed and is unknown is counted, and nothing is lost."""
    verdict = judge(_story().entries())
    (ledger,) = verdict.ledgers
    assert verdict.outcome == KEPT
    assert (ledger.acknowledged, ledger.failed, ledger.unknown, ledger.lost) == (74, 9, 1, ())
    assert ledger.missing == ((FIRST, 0), (SECOND, 0))


def test_rows_that_are_nowhere_are_lost() -> None:
    """Exit code 21, and how many, and which."""
    drill = _story().instance(FIRST, "primary", lacking=[20, 21]).instance(SECOND, "replica", lacking=[20, 21])
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.exit_code) == (LOST, 21)
    assert verdict.reasons == (
        "2 of 74 acknowledged writes of write are on no instance that could be asked: rows 20, 21",
    )
    assert verdict.ledgers[0].lost == (20, 21)
    assert verdict.ledgers[0].missing == ((FIRST, 2), (SECOND, 2))


def test_rows_that_the_primary_lacks_are_lost() -> None:
    """That a replica still has them is told apart."""
    verdict = judge(_story().instance(FIRST, "replica").instance(SECOND, "primary", lacking=[3]).entries())
    assert verdict.outcome == LOST
    assert verdict.reasons == (f"1 of 74 acknowledged writes of write are not on the primary {SECOND}: rows 3",)


def test_rows_that_a_replica_lacks_are_lost() -> None:
    """A replica that has rejoined has to have all of them; that the primary has them is told apart."""
    verdict = judge(_story().instance(FIRST, "replica", lacking=[3]).instance(SECOND, "primary").entries())
    assert verdict.outcome == LOST
    assert verdict.reasons == (f"1 of 74 acknowledged writes of write are not on the replica {FIRST}: rows 3",)


def test_each_lost_row_is_told_in_the_worst_place_alone() -> None:
    """Gone everywhere, gone from the primary, gone from a replica: three sentences, no row twice."""
    drill = _story().instance(FIRST, "replica", lacking=[1, 3]).instance(SECOND, "primary", lacking=[1, 2])
    verdict = judge(drill.entries())
    assert [each.rsplit("rows ", 1)[1] for each in verdict.reasons] == ["1", "2", "3"]
    assert verdict.ledgers[0].lost == (1, 2, 3)


def test_what_the_primary_lacks_is_not_told_again_of_a_replica() -> None:
    """A third instance that has the rows does not make them less lost."""
    drill = _story().instance(FIRST, "replica", lacking=[1]).instance(SECOND, "primary", lacking=[1])
    verdict = judge(drill.instance("postgres/main-db-3", "replica").entries())
    assert verdict.reasons == (f"1 of 74 acknowledged writes of write are not on the primary {SECOND}: rows 1",)


def test_lost_rows_outweigh_an_invalid_run() -> None:
    """They were seen to be gone, whatever else was."""
    drill = _story().instance(FIRST, "primary", lacking=[3]).instance(SECOND, "replica", said="no answer")
    verdict = judge(drill.entries()[:-1])
    assert verdict.outcome == LOST
    assert told(verdict, "cut short")
    assert told(verdict, f"{SECOND} could not be asked for its rows: no answer")


def test_lost_rows_count_where_nobody_asked_for_them_to_hold() -> None:
    """Lost data is lost data."""
    drill = _story(ONE_PRIMARY).instance(FIRST, "primary", lacking=[3])
    assert judge(drill.entries()).outcome == LOST


def test_rows_that_were_not_acknowledged_need_not_be_there() -> None:
    """What failed and what is unknown may lack; unknown rows that are there are counted and fine."""
    drill = _story()
    there = ranges(sorted({*drill.acknowledged(WRITE), 33}))
    drill.rows = [Rows(43.0, WRITE, FIRST, "primary", there)]
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.notes, verdict.ledgers[0].unknown_done) == (KEPT, (), 1)


def test_failed_rows_that_are_there_are_noted() -> None:
    """A server that refused a write and did it nevertheless is odd, and nothing is lost."""
    drill = _story()
    drill.rows = [Rows(43.0, WRITE, FIRST, "primary", ranges(sorted({*drill.acknowledged(WRITE), 24, 25})))]
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.notes) == (
        KEPT,
        ("2 writes of write that had failed are there nevertheless",),
    )
    assert verdict.ledgers[0].strangers == 0


def test_rows_that_are_there_twice_are_told() -> None:
    """On whichever instance; once is not twice."""
    drill = _story()
    there = ranges(sorted(drill.acknowledged(WRITE)))
    drill.rows = [
        Rows(43.0, WRITE, FIRST, "primary", there, {"7": 1}),
        Rows(43.0, WRITE, SECOND, "replica", there, {"8": 2}),
    ]
    verdict = judge(drill.entries())
    assert (verdict.outcome, verdict.ledgers[0].duplicated) == (KEPT, (8,))
    assert noted(verdict, "1 row of write are there more than once: 8")


def test_rows_that_nobody_tried_are_strangers() -> None:
    """However many: a range is never written out."""
    drill = _story()
    drill.rows = [
        Rows(43.0, WRITE, FIRST, "primary", ((0, 83), (1000, 10**15))),
        Rows(43.0, WRITE, SECOND, "replica", ((0, 83), (1000, 1001))),
    ]
    assert judge(drill.entries()).ledgers[0].strangers == 10**15 - 999


def test_an_instance_that_could_not_be_asked_leaves_it_open() -> None:
    """Then it cannot be proven that nothing is lost: invalid where that has to hold, noted where not."""
    for holds, outcome in (((NOTHING_LOST,), INVALID), ((ONE_PRIMARY,), KEPT)):
        drill = _story(*holds).instance(FIRST, "primary").instance(SECOND, "replica", said="no answer")
        verdict = judge(drill.entries())
        assert (verdict.outcome, verdict.ledgers[0].unchecked) == (outcome, (SECOND,))
        assert told(verdict, "could not be asked") is (outcome == INVALID)
        assert noted(verdict, "could not be asked") is (outcome == KEPT)


def test_the_last_word_about_an_instance_counts() -> None:
    """One that could not be asked at first and then could is checked."""
    drill = _story().instance(FIRST, "primary").instance(SECOND, "replica")
    unable = Rows(42.5, WRITE, SECOND, "replica", said="it is starting")
    assert judge([unable, *drill.entries()]).outcome == KEPT


@pytest.mark.parametrize("roles", [(), ("replica", "replica")])
def test_without_a_primary_nothing_is_proven(roles: tuple[str, ...]) -> None:
    """Replicas alone do not show what the cluster has."""
    drill = _story()
    for name, role in zip((FIRST, SECOND), roles, strict=False):
        drill.instance(name, role)
    entries = drill.entries() if roles else changed(drill.entries(), Rows, lambda _: None)
    verdict = judge(entries)
    assert verdict.outcome == INVALID
    assert told(verdict, "was asked for its rows")


def test_without_a_write_nothing_is_proven() -> None:
    """What has to hold of writes cannot be known where nothing was written, or nothing acknowledged."""
    verdict = judge(story().holding(NOTHING_LOST, ONE_PRIMARY).entries())
    assert verdict.outcome == INVALID
    assert sum("nothing wrote" in each for each in verdict.reasons) == 2
    refused = asked(_story().entries(), lambda each: replace(each, outcome=FAILED), WRITE)
    assert told(judge(refused), "no write was acknowledged")


def test_a_row_that_was_tried_twice_is_acknowledged_if_one_was() -> None:
    """Whatever came back beside the acknowledgement."""
    entries = asked(_story().entries(), lambda each: replace(each, row=23) if each.number in {24, 33} else each, WRITE)
    (ledger,) = judge(entries).ledgers
    assert (ledger.acknowledged, ledger.failed, ledger.unknown) == (74, 8, 0)


def test_two_instances_that_say_that_they_are_the_primary_break_the_hold() -> None:
    """At the end there is one."""
    for holds, outcome in (((NOTHING_LOST, ONE_PRIMARY), EXCEEDED), ((NOTHING_LOST,), KEPT)):
        verdict = judge(_story(*holds).instance(FIRST, "primary").instance(SECOND, "primary").entries())
        assert verdict.outcome == outcome
        assert told(verdict, f"at the end {FIRST} and {SECOND} both") is (outcome == EXCEEDED)


def test_an_instance_that_could_not_be_asked_is_no_second_primary() -> None:
    """Whatever it was before."""
    verdict = judge(_story(ONE_PRIMARY).instance(FIRST, "primary").instance(SECOND, "primary", said="gone").entries())
    assert verdict.outcome == KEPT


def test_outcomes_are_those_of_the_record() -> None:
    """The three of them are told apart."""
    outcomes = [each.outcome for each in _story().asked if each.probe == WRITE]
    assert {each: outcomes.count(each) for each in (OK, FAILED, UNKNOWN)} == {OK: 74, FAILED: 9, UNKNOWN: 1}
