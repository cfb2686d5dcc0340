"""PostgreSQL: replicas, what commits wait for, and how backups come to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.reading.postgres import instances, operator_deployment, operator_version, synchronous
from drkit.posture.rules.rule import CNPG, HIGH, MEDIUM, Finding, Fix, Rule, Seen, applied, page
from drkit.posture.snapshot import BACKUPS, REPLICATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object

_RUNBOOK: Final = page("postgres")
_PAIR: Final = 2
_ISOLATING: Final = (1, 27, 0)
"""Since then the primary checks whether it is cut off (CloudNativePG: docs/src/instance_manager.md)."""
_LATE: Final = 10.0
_FAR: Final = 16 * 1024 * 1024
"""A segment of WAL."""
_PGBOUNCER: Final = 6432


def _clusters(seen: Seen) -> Iterator[tuple[str, int, Object]]:
    for each in seen.snapshot.of("clusters.postgresql.cnpg.io"):
        count = int(look.number(each, "spec", "instances") or 1)
        yield f"Cluster {look.namespace(each)}/{look.name(each)}", count, each


def _fix(cluster: Object, how: str, spec: dict[str, Any]) -> Fix:
    return Fix(how, applied(CNPG, "Cluster", look.namespace(cluster), look.name(cluster), spec=spec), "apply")


def _one(seen: Seen) -> Iterator[Finding]:
    for what, count, cluster in _clusters(seen):
        if count == 1:
            yield Finding(
                what,
                "one instance: when its node is lost, the database is away until the node is back",
                _fix(cluster, "run 2 instances or more", {"instances": 2}),
                data="all since the last backup, where the volume is a local one",
            )


def _missing(seen: Seen) -> Iterator[Finding]:
    for what, count, cluster in _clusters(seen):
        ready = look.number(cluster, "status", "readyInstances")
        if ready is not None and ready < count:
            yield Finding(
                what,
                f"of {count} instances {int(ready)} are ready: the next loss may be the database's",
                Fix("look at it: kubectl describe clusters.postgresql.cnpg.io; a full disk stops an instance too"),
                data="what no other instance has",
            )


def _asynchronous(seen: Seen) -> Iterator[Finding]:
    for what, count, cluster in _clusters(seen):
        if count > 1 and not synchronous(cluster):
            wished = {"postgresql": {"synchronous": {"method": "any", "number": 1, "dataDurability": "preferred"}}}
            yield Finding(
                what,
                "commits wait for no replica: what was acknowledged last is lost with the primary",
                _fix(cluster, "have commits wait for one replica; a drill that promises no loss needs it", wished),
                data="commits that were acknowledged in the last moments",
            )


def _blocking(seen: Seen) -> Iterator[Finding]:
    for what, count, cluster in _clusters(seen):
        if count <= _PAIR and synchronous(cluster) == "required":
            yield Finding(
                what,
                f"with {count} instances commits require a replica: the loss of either node stops all writes",
                _fix(cluster, "run 3 instances, or let durability be preferred", {"instances": 3}),
            )


def _isolated(seen: Seen) -> Iterator[Finding]:
    known = operator_version(seen.snapshot)
    operator = operator_deployment(seen.snapshot)
    for what, count, cluster in _clusters(seen):
        off = look.at(cluster, "spec", "probes", "liveness", "isolationCheck", "enabled") is False
        old = known is not None and known < _ISOLATING
        if count > 1 and operator is not None and (off or old):
            why = "its check is switched off" if off else "CloudNativePG before 1.27 has no check for it"
            yield Finding(
                what,
                f"a primary that is cut off goes on committing for its open sessions ({why})",
                Fix("upgrade the operator to 1.27 or later, and leave the isolation check on"),
                data="what an isolated primary acknowledged, once another one is promoted",
            )


def _lag(seen: Seen) -> Iterator[Finding]:
    for each in seen.snapshot.replication:
        if each.seconds > _LATE or each.size > _FAR:
            yield Finding(
                f"{each.database}, {each.instance}",
                f"it is {each.seconds:.0f} s and {each.size // 1024 // 1024} MiB behind its primary",
                Fix("see what slows it down: its disk, its network, or long queries on it"),
                data="what it has not received, where nothing else has",
            )


def _pooled(seen: Seen) -> Iterator[Finding]:
    backups = seen.snapshot.backups
    poolers = {each.name for each in seen.settings.poolers}
    for name, host, port in backups.connections if backups else ():
        if port == _PGBOUNCER or host.partition(".")[0] in poolers:
            yield Finding(
                f"database {name}",
                f"its connection string leads through a pooler ({host}:{port}): a dump needs a session of its own",
                Fix(
                    "name the service of the primary instead, such as main-db-rw",
                    {"databases": [{"name": name}]},
                    "drkit",
                ),
                data="a dump through a pooler in transaction mode may be inconsistent",
            )


def _pods(seen: Seen) -> Iterator[Finding]:
    for what, count, cluster in _clusters(seen):
        nodes = [look.text(pod, "spec", "nodeName") for pod in instances(seen.snapshot, cluster)]
        if count > 1 and len(nodes) > 1 and len(set(nodes)) == 1:
            wished = {"affinity": {"enablePodAntiAffinity": True, "podAntiAffinityType": "required"}}
            yield Finding(
                what,
                f"all {len(nodes)} instances are on {nodes[0]}",
                _fix(cluster, "keep its instances on different nodes", wished),
                data="all since the last backup, where volumes are local",
            )


RULES: Final = (
    Rule("postgres-one-instance", HIGH, "A PostgreSQL cluster has one instance", _RUNBOOK, _one),
    Rule("postgres-instances-on-one-node", HIGH, "All instances of PostgreSQL are on one node", _RUNBOOK, _pods),
    Rule("postgres-instance-missing", HIGH, "A PostgreSQL instance is not ready", _RUNBOOK, _missing),
    Rule("postgres-asynchronous", MEDIUM, "Commits wait for no replica", _RUNBOOK, _asynchronous),
    Rule("postgres-writes-block", MEDIUM, "The loss of a replica stops writes", _RUNBOOK, _blocking),
    Rule("postgres-isolated-primary", MEDIUM, "A primary that is cut off goes on committing", _RUNBOOK, _isolated),
    Rule("postgres-replication-lag", HIGH, "A replica is far behind", _RUNBOOK, _lag, (REPLICATION,)),
    Rule("backup-through-pooler", HIGH, "A backup goes through a pooler", _RUNBOOK, _pooled, (BACKUPS,)),
)
