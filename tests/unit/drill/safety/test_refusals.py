"""Why a drill is refused: each reason is shown to trip, and not to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.times import hours
from drkit.drill.faults.port import Prepared
from drkit.drill.lease import Held
from drkit.drill.safety import refusals as reasons
from drkit.drill.safety.facts import Backup, Budget, Facts, Member
from drkit.drill.safety.refusals import FINAL, FORCEABLE, Refusal, check_names, overridden, refusals, standing
from drkit.drill.values import Drill, Injection
from drkit.drill.whole import Problem
from drkit.errors import UsageError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVERS = tuple(Member(f"s{number}", well=True) for number in (1, 2, 3))
WELL = Facts(NOON, lab=True, watchdog="local", members=SERVERS)


def drill(*faults: tuple[str, str, float, float]) -> Drill:
    """A drill of these faults: kind, target, after how many seconds, for how many."""
    return Drill("worker-down", "a worker is lost", 5, (), tuple(Injection(*each) for each in faults), 5, 60)


def one(fault: str = "isolate", target: str = "w1") -> Drill:
    """A drill of one fault."""
    return drill((fault, target, 0, 30))


def names(wanted: Drill, facts: Facts, *prepared: Prepared) -> list[str]:
    """The reasons against it."""
    hits = prepared or tuple(Prepared(hits=(each.target,)) for each in wanted.injections)
    return [each.name for each in refusals(wanted, replace(facts, prepared=hits))]


def said(wanted: Drill, facts: Facts, *prepared: Prepared) -> str:
    """The only reason's sentence."""
    hits = prepared or tuple(Prepared(hits=(each.target,)) for each in wanted.injections)
    (found,) = refusals(wanted, replace(facts, prepared=hits))
    return found.sentence


def test_nothing_is_said_against_a_drill_of_one_worker() -> None:
    """On a lab that is whole, one worker's fault is refused by nothing."""
    assert names(one(), WELL) == []
    assert names(one("power-off"), WELL, Prepared(hits=("w1",), dies=True, watched=True)) == []


def test_a_real_cluster_takes_what_it_was_told_to() -> None:
    """Outside of a lab a scenario has to be in the configuration, and no force helps."""
    real = replace(WELL, lab=False)
    assert names(one(), real) == ["not-allowed"]
    assert names(one(), replace(real, allowed=("worker-down",))) == []
    (found,) = refusals(one(), replace(real, prepared=(Prepared(),)))
    assert standing([found], FORCEABLE, everything=True) == (found,)


def test_a_fault_that_cannot_be_done() -> None:
    """What a fault says of its target is told; no force makes it possible."""
    assert said(one(), WELL, Prepared("there is no nft")) == "isolate of w1: there is no nft"


def test_somebody_else_works_on_the_cluster() -> None:
    """Who holds the Lease is named, with the work and since when."""
    held = Held("host-1", "drill other", "2026-03-01T11:00:00Z", "2026-03-01T11:59:59Z")
    told = said(one(), replace(WELL, held=held))
    assert "drill other" in told
    assert "2026-03-01T11:00:00Z" in told


def test_a_cluster_that_is_not_whole() -> None:
    """What is unwell is told, the first few of many."""
    found = tuple(Problem(f"node w{number}", "is not ready") for number in range(8))
    assert said(one(), replace(WELL, problems=found[:1])) == "the cluster is not whole: node w0 is not ready"
    assert said(one(), replace(WELL, problems=found)).endswith("node w4 is not ready; and 3 more")


@pytest.mark.parametrize(
    ("fault", "unwell", "members", "refused"),
    [
        ("isolate", (), SERVERS, False),
        ("isolate", ("s2",), SERVERS, True),
        ("isolate", ("s1",), SERVERS, False),
        ("isolate", ("s2", "s3"), SERVERS, True),
        ("isolate", (), SERVERS[:2], True),
        ("isolate", (), SERVERS[:1], False),
        ("isolate", (), (), False),
        ("delete-pod", ("s2",), SERVERS, False),
        ("isolate-from-api", ("s2",), SERVERS, False),
        ("fill-disk", ("s2",), SERVERS, True),
    ],
)
def test_etcd_keeps_its_quorum(fault: str, unwell: tuple[str, ...], members: tuple[Member, ...], refused: bool) -> None:
    """A server is hit only where enough healthy members are left; a single one has no majority to lose."""
    there = tuple(Member(each.name, each.name not in unwell) for each in members)
    assert names(one(fault, "s1"), replace(WELL, members=there)) == ["quorum"] * refused


def test_a_cluster_without_quorum_is_not_the_workers_fault() -> None:
    """A fault of a worker takes no member away, however few there are."""
    there = (Member("s1", well=True), Member("s2", well=False), Member("s3", well=False))
    assert names(one(), replace(WELL, members=there)) == []


def test_two_servers_at_the_same_time() -> None:
    """Members that are hit by different faults at the same time are counted together."""
    both = drill(("isolate", "s1", 0, 30), ("restart-service", "s2", 10, 5))
    assert names(both, WELL) == ["quorum", "several-nodes"]
    assert "without s1, s2 there are 1 healthy members left of 3, and 2 are needed" in next(
        each.sentence for each in refusals(both, replace(WELL, prepared=_hits(both)))
    )


def _hits(wanted: Drill) -> tuple[Prepared, ...]:
    return tuple(Prepared(hits=(each.target,)) for each in wanted.injections)


@pytest.mark.parametrize(
    ("faults", "refused"),
    [
        ([("isolate", "w1", 0, 30), ("isolate", "w2", 29, 30)], True),
        ([("isolate", "w1", 0, 30), ("isolate", "w2", 30, 30)], False),
        ([("isolate", "w1", 0, 30), ("isolate", "w1", 10, 30)], False),
        ([("isolate", "w1", 0, 0), ("isolate", "w2", 0, 0)], True),
        ([("isolate", "w1", 0, 90), ("isolate", "w1", 40, 10), ("isolate", "w2", 40, 30)], True),
        ([("isolate", "w1", 0, 70), ("isolate", "w1", 40, 10), ("isolate", "w2", 40, 30)], False),
    ],
)
def test_one_node_at_a_time(faults: list[tuple[str, str, float, float]], refused: bool) -> None:
    """Faults of different nodes must not be there at the same moment; one after the other they may."""
    assert names(drill(*faults), WELL) == ["several-nodes"] * refused


def test_a_fault_that_hits_several_nodes_by_itself() -> None:
    """A fault that says itself that it hits two nodes is refused too."""
    assert said(one(), WELL, Prepared(hits=("w2", "w1"))).endswith("w1, w2")


def test_deleted_pods_take_no_node_with_them() -> None:
    """All pods of a kind may go at once, wherever they are; a node's own fault beside them is still one node's."""
    pods = one("delete-pod")
    assert names(pods, WELL, Prepared(hits=("w2", "w1"))) == []
    both = drill(("delete-pod", "w1", 0, 30), ("isolate", "w2", 10, 5))
    assert names(both, WELL) == []


@given(
    faults=st.lists(
        st.tuples(st.just("isolate"), st.sampled_from(["w1", "w2"]), st.integers(0, 50), st.integers(1, 50)), max_size=4
    )
)
def test_overlapping_is_what_a_clock_sees(faults: list[tuple[str, str, float, float]]) -> None:
    """Several nodes are refused exactly where, at some second, faults of both are there."""
    begins = [sum(each[2] for each in faults[: number + 1]) for number in range(len(faults))]
    seconds = (
        {target for (_, target, _, lasts), begin in zip(faults, begins, strict=True) if begin <= second < begin + lasts}
        for second in range(300)
    )
    assert names(drill(*faults), WELL) == ["several-nodes"] * any(len(there) > 1 for there in seconds)


@pytest.mark.parametrize(
    ("backup", "told"),
    [
        (Backup(), None),
        (Backup(NOON - timedelta(hours=26), limit=26 * 3600), None),
        (Backup(NOON - timedelta(hours=26, seconds=1), limit=26 * 3600), "is 26 h 0 min old: more than 26 h 0 min"),
        (Backup(limit=26 * 3600), "there is no recovery point"),
        (Backup(said="the vault does not answer", limit=26 * 3600), "the vault does not answer"),
        (Backup(said="the vault does not answer"), None),
    ],
)
def test_a_backup_is_young_enough_and_verified(backup: Backup, told: str | None) -> None:
    """An old backup refuses, as does one that nobody can find; where any age will do, nothing does."""
    facts = replace(WELL, backup=backup)
    assert names(one(), facts) == ([] if told is None else ["backup-age"])
    if told is not None:
        assert told in said(one(), facts)


def test_outside_of_the_hours() -> None:
    """Drills begin at the allowed hours alone."""
    assert names(one(), replace(WELL, hours=hours("11:00-13:00"))) == []
    assert said(one(), replace(WELL, hours=hours("01:00-05:00"))) == (
        "it is 2026-03-01T12:00:00Z, and drills may begin at 01:00-05:00 UTC (drills.hours)"
    )


@pytest.mark.parametrize(("watchdog", "refused"), [("", True), ("local", False), ("w2", False), ("w1", True)])
def test_who_undoes_what_befalls_a_dead_host(watchdog: str, refused: bool) -> None:
    """What only the provider undoes needs a host that waits for it, and not the one that is hit."""
    facts = replace(WELL, watchdog=watchdog)
    prepared = Prepared(hits=("w1",), dies=True, watched=True)
    assert names(one("power-off"), facts, prepared) == ["no-watchdog"] * refused
    assert names(one(), replace(WELL, watchdog="")) == []


def test_probes_do_not_go_through_what_is_hit() -> None:
    """A probe whose way leads through a node whose SSH is cut is refused; through one that is only disturbed, not."""
    facts = replace(WELL, ways={"page": "w1", "write": "w2"})
    cut = Prepared(hits=("w1",), disturbs_hosts=True)
    assert said(one(), facts, cut) == "isolate of w1 cuts the way of its own probes: page goes through it"
    assert names(one(), facts) == []


def test_a_budget_that_a_drain_would_break_is_told() -> None:
    """A drain that a PodDisruptionBudget will hold up is no reason against it, and is told."""
    kept, broken = Budget("a/kept", 1, {"w1": 1}), Budget("a/broken", 0, {"w1": 2, "w2": 5})
    (found,) = refusals(one("drain"), replace(WELL, budgets=(kept, broken), prepared=(Prepared(hits=("w1",)),)))
    assert (found.name, found.warns) == ("disruption-budget", True)
    assert "a/broken lets 0 of its pods go now, and 2 are there" in found.sentence
    assert standing([found], ()) == overridden([found], (), everything=True) == ()
    assert names(one(), replace(WELL, budgets=(broken,))) == []


EVERY = [Refusal(name, "", may_be_forced=name in FORCEABLE) for name in (*FORCEABLE, *FINAL)]


@given(found=st.lists(st.sampled_from(EVERY)), forced=st.sets(st.sampled_from(FORCEABLE)), everything=st.booleans())
def test_force_overrides_what_it_names(found: list[Refusal], forced: set[str], everything: bool) -> None:
    """What stands and what is overridden is all there is; without names all that may be is overridden."""
    left = standing(found, forced, everything=everything)
    over = overridden(found, forced, everything=everything)
    assert sorted([*left, *over], key=lambda each: each.name) == sorted(found, key=lambda each: each.name)
    assert {each.name for each in over} <= (set(FORCEABLE) if everything else forced)
    assert not any(each.may_be_forced and (everything or each.name in forced) for each in left)


@pytest.mark.parametrize("name", [*FINAL, reasons.BUDGET, "nonsense", ""])
def test_what_cannot_be_forced_is_said(name: str) -> None:
    """A name that is none, or that no force overrides, is an error of usage and not silently nothing."""
    with pytest.raises(UsageError) as caught:
        check_names(["quorum", name])
    assert caught.value.hint


def test_what_can_be_forced() -> None:
    """Every name that is offered is taken."""
    check_names(FORCEABLE)


def test_reasons_have_one_name_each() -> None:
    """The words that scripts rely on are told apart."""
    words: list[Any] = [*FORCEABLE, *FINAL, reasons.BUDGET]
    assert len(set(words)) == len(words)
