"""Which PostgreSQL a scenario means, and where its primary runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from drkit.drill.snapshot import Pod, Postgres, Snapshot


def postgres(what: str, named: str | None, snapshot: Snapshot) -> Postgres:
    """The cluster of that name, or the only one.

    Args:
        what: who asks, for the message.
        named: ``namespace/name``, or nothing.
        snapshot: where it is looked for.

    Raises:
        PreflightFailed: there is none, or several and no name.
    """
    found = [each for each in snapshot.postgres if named in {None, str(each)}]
    there = ", ".join(map(str, snapshot.postgres))
    if not found:
        looked = f"called {named}" if named else "at all"
        raise PreflightFailed(
            f"{what}: no PostgreSQL cluster of CloudNativePG {looked}; there is {there or 'none'}",
            "`kubectl get clusters.postgresql.cnpg.io --all-namespaces` shows what there is",
        )
    if len(found) > 1:
        raise PreflightFailed(
            f"{what}: expected one PostgreSQL cluster; there are {there}", "name one: `cluster: NAMESPACE/NAME`"
        )
    return found[0]


def primary_of(what: str, named: str | None, snapshot: Snapshot) -> Pod:
    """The pod of its primary.

    Raises:
        PreflightFailed: as ``postgres``; or it has no primary now.
    """
    cluster = postgres(what, named, snapshot)
    pod = snapshot.pod(cluster.namespace, cluster.primary)
    if pod is None or not pod.node:
        raise PreflightFailed(
            f"{what}: {cluster} has no primary now",
            f"look at it: kubectl get clusters.postgresql.cnpg.io -n {cluster.namespace} {cluster.name}",
        )
    return pod


def primary_pods(snapshot: Snapshot) -> list[Pod]:
    """The pods of all primaries that there are."""
    pods = (snapshot.pod(each.namespace, each.primary) for each in snapshot.postgres)
    return [pod for pod in pods if pod is not None]
