"""Why a drill is refused, each reason under a name that ``--force`` knows. Pure.

What no force overrides: a scenario that a real cluster does not take (the configuration decides that, where it can be
read again afterwards), a fault that cannot be done, and another drkit that works on the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.clock import to_text
from drkit.errors import UsageError
from drkit.observe.text import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from drkit.drill.faults.port import Prepared
    from drkit.drill.safety.facts import Facts
    from drkit.drill.values import Drill, Injection

NOT_ALLOWED, IMPOSSIBLE, BUSY = "not-allowed", "impossible", "busy"
UNHEALTHY, QUORUM, SEVERAL_NODES = "unhealthy", "quorum", "several-nodes"
BACKUP_AGE, HOURS, NO_WATCHDOG = "backup-age", "hours", "no-watchdog"
PROBE_WAY, BUDGET = "probe-way", "disruption-budget"
FORCEABLE = (UNHEALTHY, QUORUM, SEVERAL_NODES, BACKUP_AGE, HOURS, NO_WATCHDOG, PROBE_WAY)
FINAL = (NOT_ALLOWED, IMPOSSIBLE, BUSY)
DRAIN, DELETE_POD = "drain", "delete-pod"
_SPARES_ETCD = frozenset({DELETE_POD, DRAIN, "detach", "block-client", "isolate-from-api"})
"""Faults that leave a server's member of etcd with its peers."""
_MANY = 5


@dataclass(frozen=True)
class Refusal:
    """A reason.

    Attributes:
        name: one of the words above.
        sentence: with the values that matter.
        may_be_forced: whether ``--force`` overrides it.
        warns: whether it is only told.
    """

    name: str
    sentence: str
    may_be_forced: bool = True
    warns: bool = False


def refusals(drill: Drill, facts: Facts) -> tuple[Refusal, ...]:
    """All reasons against a drill now, the final ones first; warnings last."""
    found = [
        *_allowed(drill, facts),
        *_possible(drill, facts),
        *_alone(facts),
        *_healthy(facts),
        *_quorum(drill, facts),
        *_one_node(drill, facts),
        *_backed_up(facts),
        *_in_hours(facts),
        *_watched(drill, facts),
        *_probed(drill, facts),
        *_budgets(drill, facts),
    ]
    return tuple(found)


def standing(found: Iterable[Refusal], forced: Collection[str], *, everything: bool = False) -> tuple[Refusal, ...]:
    """Those that still refuse it where these names are forced, or all that may be."""
    return tuple(
        each for each in found if not each.warns and not (each.may_be_forced and (everything or each.name in forced))
    )


def overridden(found: Iterable[Refusal], forced: Collection[str], *, everything: bool = False) -> tuple[Refusal, ...]:
    """Those that would refuse it, were they not forced: what ``--force`` names."""
    return tuple(
        each for each in found if not each.warns and each.may_be_forced and (everything or each.name in forced)
    )


def check_names(forced: Iterable[str]) -> None:
    """See that these can be forced.

    Raises:
        UsageError: one of them cannot.
    """
    for name in forced:
        if name == NOT_ALLOWED:
            raise UsageError(f"--force {name}: only the configuration allows it", "add the scenario to drills.allow")
        if name not in FORCEABLE:
            what = "cannot be forced" if name in FINAL else "is no reason"
            raise UsageError(f"--force {name}: {name} {what}", f"expected one of {', '.join(FORCEABLE)}")


def _allowed(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    if not facts.lab and drill.scenario not in facts.allowed:
        yield Refusal(
            NOT_ALLOWED,
            f"this is no lab, and {drill.scenario} is not in drills.allow of drkit.yaml",
            may_be_forced=False,
        )


def _possible(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    for injection, prepared in _faults(drill, facts):
        if prepared.impossible:
            said = f"{injection.fault} of {injection.target}: {prepared.impossible}"
            yield Refusal(IMPOSSIBLE, said, may_be_forced=False)


def _alone(facts: Facts) -> Iterator[Refusal]:
    if facts.held is not None:
        yield Refusal(BUSY, f"another drkit works on this cluster: {facts.held}", may_be_forced=False)


def _healthy(facts: Facts) -> Iterator[Refusal]:
    if facts.problems:
        shown = [str(each) for each in facts.problems[:_MANY]]
        more = [f"and {len(facts.problems) - _MANY} more"] if len(facts.problems) > _MANY else []
        yield Refusal(UNHEALTHY, f"the cluster is not whole: {'; '.join([*shown, *more])}")


def _quorum(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    members = facts.members
    if len(members) < 2:  # noqa: PLR2004 - one has no majority to lose; what it holds stays on its disk
        return
    needed = len(members) // 2 + 1
    for together in _together(drill, facts):
        hit = {node for injection, each in together if injection.fault not in _SPARES_ETCD for node in each.hits}
        left = [each.name for each in members if each.well and each.name not in hit]
        lost = sorted(hit & {each.name for each in members})
        if lost and len(left) < needed:
            yield Refusal(
                QUORUM,
                f"etcd would lose its quorum: without {', '.join(lost)} there are {len(left)} healthy members left of"
                f" {len(members)}, and {needed} are needed",
            )
            return


def _one_node(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    """Pods that are deleted take no node with them, wherever they are."""
    for together in _together(drill, facts):
        hit = sorted({node for injection, each in together if injection.fault != DELETE_POD for node in each.hits})
        if len(hit) > 1:
            yield Refusal(SEVERAL_NODES, f"several nodes would be hit at the same time: {', '.join(hit)}")
            return


def _backed_up(facts: Facts) -> Iterator[Refusal]:
    backup = facts.backup
    if backup.limit is None:
        return
    if backup.said or backup.created is None:
        yield Refusal(BACKUP_AGE, f"nothing verified to bring back: {backup.said or 'there is no recovery point'}")
    elif (age := (facts.now - backup.created).total_seconds()) > backup.limit:
        yield Refusal(
            BACKUP_AGE,
            f"the newest verified recovery point that a restore would need, of {to_text(backup.created)}, is"
            f" {duration(age)} old: more than {duration(backup.limit)} (drills.backup_limit)",
        )


def _in_hours(facts: Facts) -> Iterator[Refusal]:
    if facts.hours is not None and not facts.hours.contain(facts.now):
        yield Refusal(HOURS, f"it is {to_text(facts.now)}, and drills may begin at {facts.hours} (drills.hours)")


def _watched(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    for injection, prepared in _faults(drill, facts):
        if not (prepared.watched or prepared.dies):
            continue
        what = f"{injection.fault} of {injection.target}"
        if not facts.watchdog:
            yield Refusal(
                NO_WATCHDOG, f"{what}: nobody would undo it if drkit were ended: drills.watchdog names no host"
            )
            return
        if facts.watchdog in prepared.hits:
            yield Refusal(NO_WATCHDOG, f"{what}: the host that would undo it, {facts.watchdog}, is hit itself")
            return


def _probed(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    for injection, prepared in _faults(drill, facts):
        through = sorted(
            name
            for name, node in facts.ways.items()
            if node in prepared.hits and (prepared.disturbs_hosts or prepared.dies)
        )
        if through:
            what = f"{injection.fault} of {injection.target}"
            yield Refusal(PROBE_WAY, f"{what} cuts the way of its own probes: {', '.join(through)} goes through it")


def _budgets(drill: Drill, facts: Facts) -> Iterator[Refusal]:
    for injection, prepared in _faults(drill, facts):
        if injection.fault != DRAIN:
            continue
        for budget in facts.budgets:
            here = sum(budget.pods.get(node, 0) for node in prepared.hits)
            if here > budget.allowed:
                yield Refusal(
                    BUDGET,
                    f"drain of {injection.target}: the budget {budget.name} lets {budget.allowed} of its pods go now,"
                    f" and {here} are there: the others wait until it lets them go, or stay",
                    warns=True,
                )


def _faults(drill: Drill, facts: Facts) -> list[tuple[Injection, Prepared]]:
    return list(zip(drill.injections, facts.prepared, strict=True))


def _together(drill: Drill, facts: Facts) -> list[list[tuple[Injection, Prepared]]]:
    """For the moment at which each fault comes: the faults that are there then."""
    faults = _faults(drill, facts)
    begins: list[float] = []
    for injection, _ in faults:
        begins.append((begins[-1] if begins else 0.0) + injection.after)
    return [
        [
            fault
            for fault, begin in zip(faults, begins, strict=True)
            if begin <= moment and (begin == moment or moment < begin + fault[0].lasts)
        ]
        for moment in begins
    ]
