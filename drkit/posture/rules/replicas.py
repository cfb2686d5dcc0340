"""What there is only one of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture import windows
from drkit.posture.rules.pods import Running, running, spread
from drkit.posture.rules.rule import CNPG, CRITICAL, HIGH, MEDIUM, Finding, Fix, Rule, Seen, applied, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUNBOOK: Final = page("replicas")


def _cost(seen: Seen, workload: Running) -> float | None:
    """Seconds until a pod elsewhere does the work, at most; None where none does."""
    found = next(
        (e for e in seen.settings.workloads if (e.namespace, e.name) == (workload.namespace, workload.name)), None
    )
    if found is None or found.kind != "Deployment" or found.eviction.value == float("inf"):
        return None
    return windows.replaced(windows.node_lost(seen.settings.loss), found.eviction.value, windows.started(found)).high


def _one(role: str, wanted: int, what: str) -> Callable[[Seen], Iterator[Finding]]:
    def check(seen: Seen) -> Iterator[Finding]:
        for each in running(seen, "Deployment", "StatefulSet"):
            if each.role == role and each.replicas == 1:
                yield Finding(
                    str(each),
                    f"one replica: when its node is lost, {what}",
                    each.patched(f"run {wanted} replicas on different nodes", spread(each.labels), replicas=wanted),
                    seconds=_cost(seen, each),
                )

    return check


def _poolers(seen: Seen) -> Iterator[Finding]:
    for pooler in seen.snapshot.of("poolers.postgresql.cnpg.io"):
        namespace, name = look.namespace(pooler), look.name(pooler)
        if look.number(pooler, "spec", "instances") in {None, 1.0}:
            patch = applied(CNPG, "Pooler", namespace, name, spec={"instances": 2})
            yield Finding(
                f"Pooler {namespace}/{name}",
                "one instance: when its node is lost, no application reaches its database",
                Fix("run 2 instances on different nodes", patch, "apply"),
                seconds=windows.replaced(windows.node_lost(seen.settings.loss), 300, windows.START).high,
            )


RULES: Final = (
    Rule(
        "dns-one-replica",
        HIGH,
        "The cluster's DNS has one replica",
        _RUNBOOK,
        _one("dns", 3, "no name of the cluster is resolved"),
    ),
    Rule(
        "operator-one-replica",
        HIGH,
        "CloudNativePG's operator has one replica",
        _RUNBOOK,
        _one("operator", 2, "nobody promotes a replica until it runs elsewhere"),
    ),
    Rule(
        "ingress-one-replica",
        CRITICAL,
        "The ingress has one replica",
        _RUNBOOK,
        _one("ingress", 2, "no page answers"),
    ),
    Rule(
        "workload-one-replica",
        MEDIUM,
        "A workload has one replica",
        _RUNBOOK,
        _one("", 2, "it is gone until it runs elsewhere"),
    ),
    Rule("pooler-one-replica", HIGH, "A pooler has one instance", _RUNBOOK, _poolers),
)
