"""The settings that spend seconds when something fails, each with where it was found. Plain frozen values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """A number, in seconds unless its name says otherwise, and where it stands: an object's field, or whose default."""

    value: float
    where: str


@dataclass(frozen=True)
class NodeLoss:
    """How the loss of a node is noticed.

    Attributes:
        heartbeat: how often a kubelet renews its lease: a quarter of the lease's duration of 40 s
            (kubelet: pkg/kubelet/kubelet.go, ``nodeLeaseRenewIntervalFraction``). ``node-status-update-frequency``
            changes nothing there: the renewed lease is what counts.
        period: how often the node controller looks (``node-monitor-period``).
        grace: after which silence it calls a node lost (``node-monitor-grace-period``).
    """

    heartbeat: Setting
    period: Setting
    grace: Setting


@dataclass(frozen=True)
class Check:
    """How a load balancer finds out that a target does not answer, for one port that it listens on.

    Attributes:
        balancer: its name.
        targets: the nodes that it leads to.
        retries: how many checks in a row have to fail (a count).
        proxy: whether targets are told of the client in PROXY protocol.
    """

    balancer: str
    port: int
    destination: int
    targets: tuple[str, ...]
    interval: Setting
    timeout: Setting
    retries: Setting
    proxy: bool = False


@dataclass(frozen=True)
class ProbeTimes:
    """How often the kubelet asks a container, and how many failures (a count) make it act."""

    period: Setting
    failures: Setting
    timeout: Setting
    delay: Setting


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet.

    Attributes:
        replicas: how many pods it wants.
        nodes: where its pods are, one for each.
        eviction: how long its pods stay on a lost node before others replace them; infinite where nothing does.
        termination: how long a pod gets to end.
        ingress: whether traffic from outside comes to it first.
    """

    kind: str
    namespace: str
    name: str
    replicas: int
    nodes: tuple[str, ...]
    eviction: Setting
    termination: Setting
    readiness: ProbeTimes | None = None
    liveness: ProbeTimes | None = None
    ingress: bool = False

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Operator:
    """What promotes a replica.

    Attributes:
        stand_in: whether it is the lab's.
        replicas: how many pods it wants.
        nodes: where they are.
        leader: the node of the one that works; empty where that is not known.
        lease: after which silence another one takes over; ``retry`` is how often it tries.
        eviction: as a workload's.
    """

    name: str
    stand_in: bool
    replicas: int
    nodes: tuple[str, ...]
    leader: str
    lease: Setting
    retry: Setting
    eviction: Setting


@dataclass(frozen=True)
class Database:
    """A cluster of PostgreSQL.

    Attributes:
        nodes: where its instances are, by instance.
        primary: the primary's node; empty where that is not known.
        failover_delay: how long a primary may fail before it is replaced.
        switchover_delay: how long a primary gets to shut down in an orderly way.
        status_timeout: how long the operator waits for an instance's word.
        lease: how long the primary's own lease holds off a promotion, where there is one.
        lease_retry: how often others try to take it.
        synchronous: ``required`` or ``preferred`` where a commit waits for a replica; empty where it does not.
    """

    namespace: str
    name: str
    instances: int
    nodes: tuple[str, ...]
    primary: str
    failover_delay: Setting
    switchover_delay: Setting
    status_timeout: Setting
    lease: Setting | None = None
    lease_retry: Setting | None = None
    synchronous: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Pooler:
    """A PgBouncer before a cluster of PostgreSQL.

    Attributes:
        database: ``namespace/name`` of that cluster.
        role: ``rw`` or ``ro``.
        connect_timeout: how long it tries to connect to a server.
        login_retry: how long it waits after that failed.
    """

    namespace: str
    name: str
    database: str
    role: str
    nodes: tuple[str, ...]
    connect_timeout: Setting
    login_retry: Setting


@dataclass(frozen=True)
class Route:
    """What answers for a host name and a path: ``namespace/name`` of the workload behind an Ingress."""

    host: str
    path: str
    workload: str


@dataclass(frozen=True)
class Settings:
    """What decides how long things fail, of one cluster.

    Attributes:
        version: of Kubernetes, as its servers say it.
        servers: names of the nodes with a control plane; likewise ``agents``.
        etcd: how many of the servers are members of an embedded etcd.
        election: after which silence etcd elects another leader.
        dns_ttl: how long names may be remembered that lead to the cluster.
    """

    version: str
    servers: tuple[str, ...]
    agents: tuple[str, ...]
    etcd: int
    loss: NodeLoss
    election: Setting
    checks: tuple[Check, ...] = ()
    workloads: tuple[Workload, ...] = ()
    routes: tuple[Route, ...] = ()
    databases: tuple[Database, ...] = ()
    poolers: tuple[Pooler, ...] = ()
    operator: Operator | None = None
    dns_ttl: Setting | None = None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {key: _finite(value) for key, value in asdict(self).items()}


def _finite(value: Any) -> Any:
    """Infinity is no JSON: ``null`` stands for it."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if value == float("inf") else value
