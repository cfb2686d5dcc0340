"""CloudNativePG's operator, clusters and poolers. Pure.

Sources: CloudNativePG, internal/cmd/manager/controller/cmd.go (the operator's lease), api/v1/cluster_types.go
(delays), pkg/management/postgres/webserver/client/remote/instance.go (an instance that does not answer),
docs/src/failover.md (the primary's lease, since 1.30); pgbouncer.org/config.html; for the lab's stand-in Patroni's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.cluster.cnpg import CLUSTER_LABEL
from drkit.config.times import length
from drkit.posture.reading.workloads import replicas, stays
from drkit.posture.settings import Database, Operator, Pooler, Setting
from drkit.posture.snapshot import nodes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.cluster.kube import Object
    from drkit.posture.snapshot import Snapshot

POOLER_LABEL: Final = "cnpg.io/poolerName"
STAND_IN: Final = "cnpg-stand-in"
_NAMES: Final = frozenset({"cloudnative-pg", STAND_IN})
_LEASED: Final = (1, 30, 0)
_STATUS: Final = Setting(2, "CloudNativePG's: it waits so long for a connection to an instance")


def operator_deployment(snapshot: Snapshot) -> Object | None:
    """The operator's Deployment."""
    for each in snapshot.of("deployments.apps"):
        named = {look.labels(each).get("app.kubernetes.io/name"), look.name(each)}
        if named & (_NAMES | {"cnpg-controller-manager"}):
            return each
    return None


def operator_version(snapshot: Snapshot) -> tuple[int, int, int] | None:
    """The operator's version, by the tag of its image."""
    found = operator_deployment(snapshot)
    containers = look.items(found, "spec", "template", "spec", "containers")
    return look.version(look.text(containers[0], "image").rpartition(":")[2]) if containers else None


def operator(snapshot: Snapshot, eviction: Setting) -> Operator | None:
    """What promotes a replica; None where it is not installed."""
    found = operator_deployment(snapshot)
    if found is None:
        return None
    where = f"Deployment {look.namespace(found)}/{look.name(found)}"
    pod = look.mapping(found, "spec", "template", "spec")
    pods = snapshot.pods_of(look.namespace(found), look.mapping(found, "spec", "selector"))
    said = [word for each in look.items(pod, "containers") for word in look.items(each, "args")]
    words = [word for word in said if isinstance(word, str)]
    lease = next((seconds for each in look.options(words, "leader-lease-duration") if (seconds := _number(each))), None)
    return Operator(
        name=look.name(found),
        stand_in=_is_stand_in(found),
        replicas=replicas("Deployment", found),
        nodes=nodes_of(pods),
        leader=_leader(snapshot, look.namespace(found), pods),
        lease=Setting(15, "CloudNativePG's default of leader-lease-duration")
        if lease is None
        else Setting(lease, where),
        retry=Setting(2, "controller-runtime's default"),
        eviction=stays(pod, where, eviction),
    )


def _is_stand_in(deployment: Object | None) -> bool:
    return deployment is not None and STAND_IN in {
        look.name(deployment),
        look.labels(deployment).get("app.kubernetes.io/name"),
    }


def _number(written: str) -> float | None:
    return length(written)


def _leader(snapshot: Snapshot, namespace: str, pods: Sequence[Object]) -> str:
    """The node of the pod that holds a lease in the operator's namespace: its identity begins with the pod's name."""
    for lease in snapshot.of("leases.coordination.k8s.io"):
        holder = look.text(lease, "spec", "holderIdentity")
        for pod in pods if look.namespace(lease) == namespace else ():
            if holder == look.name(pod) or holder.startswith(f"{look.name(pod)}_"):
                return look.text(pod, "spec", "nodeName")
    return ""


def databases(snapshot: Snapshot) -> tuple[Database, ...]:
    """All clusters, by namespace and name."""
    stand_in = _is_stand_in(operator_deployment(snapshot))
    known = operator_version(snapshot)
    leased = not stand_in and known is not None and known >= _LEASED
    found = [_database(snapshot, each, leased=leased, stand_in=stand_in) for each in _clusters(snapshot)]
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name)))


def _clusters(snapshot: Snapshot) -> tuple[Object, ...]:
    return snapshot.of("clusters.postgresql.cnpg.io")


def _database(snapshot: Snapshot, cluster: Object, *, leased: bool, stand_in: bool) -> Database:
    namespace, name = look.namespace(cluster), look.name(cluster)
    where = f"Cluster {namespace}/{name}"
    pods = instances(snapshot, cluster)
    primary = look.text(cluster, "status", "currentPrimary")
    lease = retry = None
    if stand_in:
        lease = Setting(20, "the stand-in's: ttl of Patroni")
        retry = Setting(5, "the stand-in's: loop_wait of Patroni")
    elif leased:
        given = look.mapping(cluster, "spec", "primaryLease")
        lease = _setting(given, "leaseDurationSeconds", 15, where)
        retry = _setting(given, "retryPeriodSeconds", 2, where)
    return Database(
        namespace=namespace,
        name=name,
        instances=int(look.number(cluster, "spec", "instances") or 1),
        nodes=nodes_of(pods),
        primary=next((look.text(pod, "spec", "nodeName") for pod in pods if look.name(pod) == primary), ""),
        failover_delay=_setting(look.mapping(cluster, "spec"), "failoverDelay", 0, where),
        switchover_delay=_setting(look.mapping(cluster, "spec"), "switchoverDelay", 3600, where),
        status_timeout=_STATUS,
        lease=lease,
        lease_retry=retry,
        synchronous=synchronous(cluster),
    )


def synchronous(cluster: Object) -> str:
    """Whether a commit waits for a replica, and what becomes of it without one; see ``Database``.

    ``minSyncReplicas`` is the older way to say it, and gives way where replicas are lacking.
    """
    if look.number(cluster, "spec", "postgresql", "synchronous", "number"):
        return look.text(cluster, "spec", "postgresql", "synchronous", "dataDurability") or "required"
    return "preferred" if look.number(cluster, "spec", "minSyncReplicas") else ""


def instances(snapshot: Snapshot, cluster: Object) -> list[Object]:
    """The pods of a cluster that run PostgreSQL; jobs that set one up carry the cluster's label as well."""
    pods = snapshot.pods_of(look.namespace(cluster), {"matchLabels": {CLUSTER_LABEL: look.name(cluster)}})
    return [pod for pod in pods if look.labels(pod).get("cnpg.io/podRole", "instance") == "instance"]


def _setting(given: dict[str, Any], key: str, default: float, where: str) -> Setting:
    found = look.number(given, key)
    return Setting(default, f"CloudNativePG's default of {key}") if found is None else Setting(found, f"{where}: {key}")


def poolers(snapshot: Snapshot) -> tuple[Pooler, ...]:
    """All of them, by namespace and name."""
    found = [_pooler(snapshot, each) for each in snapshot.of("poolers.postgresql.cnpg.io")]
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name)))


def _pooler(snapshot: Snapshot, pooler: Object) -> Pooler:
    namespace, name = look.namespace(pooler), look.name(pooler)
    given = look.mapping(pooler, "spec", "pgbouncer", "parameters")

    def setting(key: str, default: float) -> Setting:
        found = _number(look.text(given, key))
        return Setting(default, f"PgBouncer's default of {key}") if found is None else Setting(found, f"Pooler {name}")

    connect = setting("server_connect_timeout", 15)
    unanswered = _number(look.text(given, "tcp_user_timeout"))  # milliseconds
    if unanswered and unanswered / 1000 < connect.value:
        connect = Setting(unanswered / 1000, f"Pooler {name}: tcp_user_timeout")
    return Pooler(
        namespace=namespace,
        name=name,
        database=f"{namespace}/{look.text(pooler, 'spec', 'cluster', 'name')}",
        role=look.text(pooler, "spec", "type") or "rw",
        nodes=nodes_of(snapshot.pods_of(namespace, {"matchLabels": {POOLER_LABEL: name}})),
        connect_timeout=connect,
        login_retry=setting("server_login_retry", 15),
    )
