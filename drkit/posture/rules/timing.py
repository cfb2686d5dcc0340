"""Settings that make failures longer than they have to be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.cluster import fields as look
from drkit.posture import windows
from drkit.posture.rules.pods import Running, running
from drkit.posture.rules.rule import CNPG, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, applied, page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.settings import Workload

_RUNBOOK: Final = page("timing")
_PATIENT: Final = 60.0
"""Seconds: who tolerates a lost node for longer was not asked."""
_SLOW_GRACE: Final = 30.0
_SLOW_READINESS: Final = 20.0
_QUICK: Final = [
    {"key": f"node.kubernetes.io/{lost}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}
    for lost in ("not-ready", "unreachable")
]


def _pairs(seen: Seen, *kinds: str) -> Iterator[tuple[Running, Workload]]:
    """Workloads as they were listed, with their settings."""
    known = {(each.kind, each.namespace, each.name): each for each in seen.settings.workloads}
    for each in running(seen, *kinds):
        yield each, known[each.kind, each.namespace, each.name]


def _grace(seen: Seen) -> Iterator[Finding]:
    loss = seen.settings.loss
    if loss.grace.value > _SLOW_GRACE:
        found = windows.node_lost(loss)
        yield Finding(
            "kube-controller-manager",
            f"a lost node is noticed after {found.low:.0f} to {found.high:.0f} s ({loss.grace.where})",
            Fix(
                "tell the servers a shorter grace period; not below twice the heartbeat of 10 s",
                {"kube-controller-manager-arg": ["node-monitor-grace-period=20s"]},
                "k3s",
            ),
            seconds=found.high,
        )


def _flapping(seen: Seen) -> Iterator[Finding]:
    loss = seen.settings.loss
    least = loss.heartbeat.value + loss.period.value
    if loss.grace.value < least:
        yield Finding(
            "kube-controller-manager",
            f"after {loss.grace.value:g} s a node counts as lost, and healthy ones renew their lease every "
            f"{loss.heartbeat.value:g} s: one late renewal takes a node away",
            Fix(
                f"a grace period of more than {least:g} s",
                {"kube-controller-manager-arg": ["node-monitor-grace-period=20s"]},
                "k3s",
            ),
        )


def _evicted_late(seen: Seen) -> Iterator[Finding]:
    for each, set_ in _pairs(seen, "Deployment"):
        seconds = set_.eviction.value
        if seconds > _PATIENT:
            lasting = seconds == float("inf")
            words = "for as long as it is" if lasting else f"for {seconds:.0f} s"
            yield Finding(
                str(each),
                f"its pods stay on a lost node {words} ({set_.eviction.where})",
                each.patched("tolerate a lost node for ten seconds", {"tolerations": _QUICK}),
                seconds=None if lasting else seconds,
            )


def _no_readiness(seen: Seen) -> Iterator[Finding]:
    for each, set_ in _pairs(seen):
        if set_.readiness is None and not each.namespace.startswith("kube-") and _is_asked(seen, each):
            probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 5, "failureThreshold": 2}
            containers = [{"name": _first(each), "readinessProbe": probe}]
            yield Finding(
                str(each),
                "no readiness probe: a pod that answers nothing gets its share of the questions for ever",
                each.patched("add one that asks what users ask; put in your own port", {"containers": containers}),
            )


def _is_asked(seen: Seen, workload: Running) -> bool:
    """Whether a Service leads to its pods: readiness decides about nothing else."""
    return any(
        look.namespace(each) == workload.namespace and look.selects({"matchLabels": selector}, workload.labels)
        for each in seen.snapshot.of("services")
        if (selector := look.mapping(each, "spec", "selector"))
    )


def _first(workload: Running) -> str:
    return next((look.text(each, "name") for each in look.items(workload.spec, "containers")), "")


def _slow_readiness(seen: Seen) -> Iterator[Finding]:
    for each, set_ in _pairs(seen):
        if set_.readiness is not None and (high := windows.failing(set_.readiness).high) > _SLOW_READINESS:
            probe = {"periodSeconds": 5, "failureThreshold": 2}
            yield Finding(
                str(each),
                f"a pod that answers nothing stays an endpoint for up to {high:.0f} s",
                each.patched("ask every 5 s, twice", {"containers": [{"name": _first(each), "readinessProbe": probe}]}),
                seconds=high,
            )


def _restarted_first(seen: Seen) -> Iterator[Finding]:
    for each, set_ in _pairs(seen):
        if set_.readiness is None or set_.liveness is None:
            continue
        ready, alive = windows.failing(set_.readiness), windows.failing(set_.liveness)
        if alive.high < ready.high:
            probe = {"periodSeconds": 10, "failureThreshold": 3}
            yield Finding(
                str(each),
                f"it is restarted after {alive.high:.0f} s and taken out of service after {ready.high:.0f} s: "
                "load that slows it down makes it restart",
                each.patched(
                    "let liveness be more patient than readiness",
                    {"containers": [{"name": _first(each), "livenessProbe": probe}]},
                ),
            )


def _switchover(seen: Seen) -> Iterator[Finding]:
    for each in seen.settings.databases:
        if each.failover_delay.value > 0:
            yield Finding(
                f"Cluster {each}",
                f"a primary that fails is replaced only after {each.failover_delay.value:g} s",
                Fix(
                    "no delay, unless restarts in place take that long",
                    applied(CNPG, "Cluster", each.namespace, each.name, spec={"failoverDelay": 0}),
                    "apply",
                ),
                seconds=each.failover_delay.value,
            )


def _reconnect(seen: Seen) -> Iterator[Finding]:
    for each in seen.settings.poolers:
        waits = each.connect_timeout.value + each.login_retry.value
        if waits > _SLOW_READINESS:
            parameters = {"server_login_retry": "1", "server_connect_timeout": "3", "tcp_user_timeout": "10000"}
            yield Finding(
                f"Pooler {each.namespace}/{each.name}",
                f"after a promotion it may take up to {waits:.0f} s until it asks the new primary",
                Fix(
                    "give up sooner, and try again at once",
                    applied(CNPG, "Pooler", each.namespace, each.name, spec={"pgbouncer": {"parameters": parameters}}),
                    "apply",
                ),
                seconds=waits,
            )


RULES: Final = (
    Rule("node-loss-noticed-late", MEDIUM, "A lost node is noticed late", _RUNBOOK, _grace),
    Rule("node-grace-too-short", HIGH, "Healthy nodes may count as lost", _RUNBOOK, _flapping),
    Rule("evicted-late", MEDIUM, "Pods stay on lost nodes for long", _RUNBOOK, _evicted_late),
    Rule("no-readiness-probe", MEDIUM, "A workload has no readiness probe", _RUNBOOK, _no_readiness),
    Rule("slow-readiness-probe", LOW, "A readiness probe takes long to fail", _RUNBOOK, _slow_readiness),
    Rule("liveness-before-readiness", LOW, "Liveness fails before readiness", _RUNBOOK, _restarted_first),
    Rule("failover-delayed", MEDIUM, "A failover is delayed on purpose", _RUNBOOK, _switchover),
    Rule("pooler-reconnects-late", MEDIUM, "A pooler finds a new primary late", _RUNBOOK, _reconnect),
)
