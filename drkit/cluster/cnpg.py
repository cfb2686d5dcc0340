"""The clusters of CloudNativePG, and which of a cluster's instances a backup reads."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from drkit import process
from drkit.errors import KubeRefused, SourceFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drkit.cluster.kube import Api, Object

ROOT = "/apis/postgresql.cnpg.io/v1"
CLUSTER_LABEL = "cnpg.io/cluster"
CONTAINER = "postgres"
WAIT_SECONDS = 120.0
"""How long a source waits for a primary: longer than a failover takes where nothing is tuned (about a minute)."""
_LOOK_SECONDS = 1.0
_NOT_FOUND = 404
# What is said, in the C locale, to a client by a server that leaves it, or of one that has not begun to listen again.
_LEFT = re.compile(
    r"terminating connection|server closed the connection|connection to server was lost|the connection was cut"
    r"|is shutting down|is starting up|in recovery mode|conflict with recovery|invalid snapshot identifier"
    r"|in a read-only transaction"  # it is the primary no more, or does not know just now whether it is
    r"|connection to server on socket \S+ failed: (No such file or directory|Connection refused)"
)

Role = Literal["primary", "replica"]


@dataclass(frozen=True, order=True)
class PostgresCluster:
    """A cluster by its name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Instance:
    """A running server of a cluster: its pod, and the container by its id, which a restart changes."""

    cluster: PostgresCluster
    pod: str
    role: Role
    container_id: str


def clusters(kube: Api) -> list[PostgresCluster]:
    """All clusters of all namespaces; none where CloudNativePG is not installed.

    Raises:
        SourceFailed: the API does not answer, or does not let us list them.
    """
    try:
        found = [each for page in kube.pages(f"{ROOT}/clusters") for each in page["items"]]
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            return []
        raise
    return sorted(PostgresCluster(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found)


def instance(
    kube: Api, cluster: PostgresCluster, wanted: Role, *, pause: Callable[[float], None] = process.pause
) -> Instance:
    """The instance to read: the primary, or where it is wanted and there is one, a replica.

    Waits while a cluster fails over.

    Raises:
        SourceFailed: there is no such cluster, or it had no primary within ``WAIT_SECONDS``.
    """
    until = time.monotonic() + WAIT_SECONDS
    while True:
        found = _now(kube, cluster, wanted)
        if isinstance(found, Instance):
            return found
        if time.monotonic() > until:
            raise SourceFailed(
                f"{cluster}: {found}, after {WAIT_SECONDS:.0f} s of waiting",
                f"look at it: kubectl get clusters.postgresql.cnpg.io -n {cluster.namespace} {cluster.name}",
            )
        pause(_LOOK_SECONDS)


def primary_now(kube: Api, cluster: PostgresCluster) -> Instance | str:
    """The primary, or why there is none just now.

    Raises:
        SourceFailed: there is no such cluster.
    """
    return _now(kube, cluster, "primary")


def says_that_it_left(message: str) -> bool:
    """Whether these are words with which a server leaves its client. Pure."""
    return _LEFT.search(message) is not None


def is_still(kube: Api, read: Instance) -> bool:
    """Whether the instance that was read runs on, in the role that it had."""
    return read in ready(read.cluster, *_asked(kube, read.cluster))


def _now(kube: Api, cluster: PostgresCluster, wanted: Role) -> Instance | str:
    return choose(cluster, *_asked(kube, cluster), wanted)


def _asked(kube: Api, cluster: PostgresCluster) -> tuple[Object, list[Object]]:
    """A cluster's object and its pods."""
    namespace = quote(cluster.namespace, safe="")
    try:
        found = kube.get(f"{ROOT}/namespaces/{namespace}/clusters/{quote(cluster.name, safe='')}")
    except KubeRefused as error:
        if error.status == _NOT_FOUND:
            raise SourceFailed(
                f"there is no CloudNativePG cluster {cluster}", "mend databases: in the configuration, or the cluster"
            ) from None
        raise
    query = urlencode({"labelSelector": f"{CLUSTER_LABEL}={cluster.name}"})
    pods: list[Object] = kube.get(f"/api/v1/namespaces/{namespace}/pods?{query}")["items"] or []
    return found, pods


def ready(cluster: PostgresCluster, found: Object, pods: Iterable[Object]) -> list[Instance]:
    """The instances that can be read now, by name; a primary that is being replaced is none of them. Pure.

    Args:
        cluster: its name.
        found: the cluster's object.
        pods: its pods.
    """
    status = found.get("status") or {}
    primary, settled = status.get("currentPrimary"), status.get("targetPrimary") == status.get("currentPrimary")
    there = {
        pod["metadata"]["name"]: container
        for pod in pods
        if pod["metadata"]["name"] in (status.get("instanceNames") or []) and (container := _container_id(pod))
    }
    return [
        Instance(cluster, name, "primary" if name == primary else "replica", container)
        for name, container in sorted(there.items())
        if name != primary or settled
    ]


def choose(cluster: PostgresCluster, found: Object, pods: Iterable[Object], wanted: Role) -> Instance | str:
    """The instance to read, or why there is none just now; see ``ready``. Pure.

    Args:
        cluster: its name.
        found: the cluster's object.
        pods: its pods.
        wanted: ``replica`` where one is preferred; the primary is read where none is ready.
    """
    status = found.get("status") or {}
    primary, target = status.get("currentPrimary"), status.get("targetPrimary")
    if not primary:
        return "it has no primary yet"
    if target != primary:
        return f"its primary is changing from {primary} to {target}"
    readable = ready(cluster, found, pods)
    chosen = [each for each in readable if each.role == wanted] + [each for each in readable if each.role == "primary"]
    return chosen[0] if chosen else f"its primary {primary} is not ready"


def _container_id(pod: Object) -> str:
    """The id of the container with the server, where it is ready and nobody has begun to end it."""
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    return next(
        (str(each.get("containerID", "")) for each in containers if each["name"] == CONTAINER and each.get("ready")), ""
    )
