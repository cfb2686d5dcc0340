"""PodDisruptionBudgets: what a drain may take at once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture.rules.pods import Running, running
from drkit.posture.rules.rule import LOW, MEDIUM, Finding, Fix, Rule, Seen, applied, page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

_RUNBOOK: Final = page("budgets")
_HUNDRED: Final = 100


def _fix(namespace: str, name: str, how: str, spec: dict[str, object]) -> Fix:
    return Fix(how, applied("policy/v1", "PodDisruptionBudget", namespace, name, spec=spec), "apply")


def _covers(budget: Object, workload: Running) -> bool:
    selector = look.at(budget, "spec", "selector")
    # An empty selector means all pods of the namespace, one that lacks means none.
    same = look.namespace(budget) == workload.namespace
    return same and isinstance(selector, dict) and look.selects(selector, workload.labels)


def _missing(seen: Seen) -> Iterator[Finding]:
    budgets = seen.snapshot.of("poddisruptionbudgets.policy")
    for each in running(seen, "Deployment", "StatefulSet"):
        if each.replicas > 1 and not any(_covers(budget, each) for budget in budgets):
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": each.labels}}
            yield Finding(
                str(each),
                f"no disruption budget: draining nodes may take all {each.replicas} pods at once",
                _fix(each.namespace, each.name, "let one pod at a time be taken", spec),
            )


def _impossible(seen: Seen) -> Iterator[Finding]:
    found = list(running(seen))
    for budget in seen.snapshot.of("poddisruptionbudgets.policy"):
        covered = [each for each in found if _covers(budget, each)]
        wanted = sum(each.replicas for each in covered)
        if covered and not _leaves_room(budget, wanted):
            spec = {"maxUnavailable": 1, "minAvailable": None}
            yield Finding(
                f"PodDisruptionBudget {look.namespace(budget)}/{look.name(budget)}",
                f"of {wanted} pods none may ever be taken: drains, and upgrades that drain, do not end",
                _fix(look.namespace(budget), look.name(budget), "let one pod at a time be taken", dict(spec)),
            )


def _leaves_room(budget: Object, wanted: int) -> bool:
    """Source: kubernetes.io/docs/tasks/run-application/configure-pdb: percentages are rounded up."""
    least = _count(look.at(budget, "spec", "minAvailable"), wanted)
    most = _count(look.at(budget, "spec", "maxUnavailable"), wanted)
    if most is not None:
        return most > 0
    return least is None or least < wanted


def _count(given: object, of: int) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, str) and given.endswith("%") and given[:-1].isdigit():
        return -(-int(given[:-1]) * of // _HUNDRED)
    return None


def _idle(seen: Seen) -> Iterator[Finding]:
    for budget in seen.snapshot.of("poddisruptionbudgets.policy"):
        selector = look.at(budget, "spec", "selector")
        pods = [each for each in seen.snapshot.of("pods") if look.namespace(each) == look.namespace(budget)]
        if isinstance(selector, dict) and not any(look.selects(selector, look.labels(pod)) for pod in pods):
            yield Finding(
                f"PodDisruptionBudget {look.namespace(budget)}/{look.name(budget)}",
                "it means no pod that there is: what it was to protect is not protected",
                Fix("give it the labels of the pods that it is for, or delete it"),
            )


RULES: Final = (
    Rule("no-disruption-budget", LOW, "A workload has no disruption budget", _RUNBOOK, _missing),
    Rule("disruption-budget-impossible", MEDIUM, "A disruption budget lets nothing be drained", _RUNBOOK, _impossible),
    Rule("disruption-budget-idle", LOW, "A disruption budget protects nothing", _RUNBOOK, _idle),
)
