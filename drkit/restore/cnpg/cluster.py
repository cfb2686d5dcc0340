"""A cluster of CloudNativePG whose volumes are lost: the old one is removed, the new one made.

What exactly is decided in ``removal`` and ``remade``. Both steps can be taken again, wherever they were cut short.
``prepare`` needs nothing but an API server: in a restored datastore it runs before scheduler, controllers and the
operator wake and find what is not there any more.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from drkit import process
from drkit.cluster import cnpg
from drkit.errors import KubeRefused, KubeUnreachable, RestoreFailed
from drkit.restore.cnpg import removal
from drkit.restore.cnpg.remade import remake
from drkit.restore.operations import perform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from drkit.cluster.cnpg import Instance, PostgresCluster
    from drkit.cluster.kube import Api, Object, Resource
    from drkit.restore.cnpg.remade import Remade

MAKE_SECONDS = 900.0
"""How long a new cluster may take until it has a primary: the image of PostgreSQL may have to be pulled."""
_LOOK_SECONDS = 1.0


def prepare(
    api: Api, cluster: PostgresCluster, databases: Mapping[str, Mapping[str, Any]], restore: str
) -> tuple[str, ...]:
    """Remove a Cluster and its volumes, keep its secrets, and note which Cluster is to be made in its place.

    Args:
        api: the cluster's API.
        cluster: its name.
        databases: the details of its sealed databases, by the databases' names.
        restore: the restore's id.

    Returns:
        What will not be as it was, for the report.

    Raises:
        RestoreFailed: there is no such Cluster, and none is noted.
        KubeUnreachable: the API does not answer; likewise below.
        KubeRefused: it refuses; likewise below.
    """
    path = removal.CLUSTERS.object_path(cluster.namespace, cluster.name)
    found, known = _get(api, path), _get(api, removal.note_path(cluster))
    remade = removal.noted(known, restore) if known is not None else None
    if found is not None and removal.is_of(found, restore):
        return remade.warnings if remade is not None else ()
    secrets = _all(api, removal.SECRETS, cluster)
    if remade is None:
        if found is None:
            raise RestoreFailed(f"there is no CloudNativePG cluster {cluster}, and nothing says what it was")
        remade = remake(found, secrets, databases, restore)
    there = removal.belongings(
        cluster,
        found,
        secrets,
        _all(api, removal.PODS, cluster),
        _all(api, removal.CLAIMS, cluster),
        [each for page in api.pages(removal.VOLUMES.path) for each in page["items"]],
        removal.noted_volumes(known, restore),
    )
    for operation in removal.operations(cluster, found, there, remade, restore):
        perform(api, operation)
    return remade.warnings


def make(
    api: Api,
    cluster: PostgresCluster,
    restore: str,
    remade: Remade | None = None,
    *,
    seconds: float = MAKE_SECONDS,
    pause: Callable[[float], None] = process.pause,
) -> Instance:
    """Make the Cluster that ``prepare`` has noted, and wait for a primary that is ready.

    Args:
        api: the cluster's API.
        cluster: its name.
        restore: the restore's id.
        remade: the Cluster to be made, where nothing was there to be prepared.
        seconds: how long it may take.
        pause: waits.

    Raises:
        RestoreFailed: it is not noted, another Cluster has its name, or it has no primary in time.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            said = _applied(api, cluster, restore, remade)
            if not said:
                primary = cnpg.primary_now(api, cluster)
                if not isinstance(primary, str):
                    api.delete(removal.note_path(cluster))
                    return primary
                said = primary
        except KubeUnreachable as error:  # it may be starting
            said = error.message
        if time.monotonic() > until:
            raise RestoreFailed(
                f"{cluster}: {said}, after {seconds:.0f} s of waiting",
                f"look at it: kubectl describe clusters.postgresql.cnpg.io -n {cluster.namespace} {cluster.name}",
            )
        pause(_LOOK_SECONDS)


def _applied(api: Api, cluster: PostgresCluster, restore: str, remade: Remade | None) -> str:
    """See that the Cluster is there; why it is not yet, where that may pass."""
    path = removal.CLUSTERS.object_path(cluster.namespace, cluster.name)
    found = _get(api, path)
    if found is not None and removal.is_of(found, restore):
        return ""
    if found is not None:
        if found["metadata"].get("deletionTimestamp"):
            return "the old Cluster is still being deleted"
        raise RestoreFailed(f"there is a Cluster {cluster} that this restore has not made", "delete or rename it")
    if remade is None:
        known = _get(api, removal.note_path(cluster))
        remade = removal.noted(known, restore) if known is not None else None
    if remade is None:
        raise RestoreFailed(f"nothing says which Cluster {cluster} was", "start anew, without --resume")
    try:
        api.apply(path, remade.cluster, dry_run=False)
    except KubeRefused as error:
        # The operator's webhooks are asked before its pods can answer; before it is installed there is no such kind.
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.NOT_FOUND:
            raise
        return error.message
    return ""


def _get(api: Api, path: str) -> Object | None:
    try:
        return api.get(path)
    except KubeRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def _all(api: Api, kind: Resource, cluster: PostgresCluster) -> list[Object]:
    root, _, plural = kind.path.rpartition("/")
    path = f"{root}/namespaces/{quote(cluster.namespace, safe='')}/{plural}"
    return [each for page in api.pages(path) for each in page["items"]]
