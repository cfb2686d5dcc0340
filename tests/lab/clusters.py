"""Asking the lab's cluster about its databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.lab.labs import kubectl

if TYPE_CHECKING:
    from tests.lab.site import Ran

Lab = dict[str, Any]

CLUSTERS = "clusters.postgresql.cnpg.io"
HEALTHY = "Cluster in healthy state"


def get(lab: Lab, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
    """An object, None where it is not there or nobody answers."""
    asked = kubectl(lab, "get", kind, name, "-n", namespace, "-o", "json", "--request-timeout=5s")
    return dict(asked.json()) if asked.status == 0 else None


def items(lab: Lab, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """The objects of a kind; none where nobody answers."""
    chosen = ["-l", selector] if selector else []
    asked = kubectl(lab, "get", kind, "-n", namespace, "-o", "json", "--request-timeout=5s", *chosen)
    return list(asked.json()["items"]) if asked.status == 0 else []


def state(lab: Lab, name: str, namespace: str) -> dict[str, Any]:
    """The status of a PostgreSQL cluster."""
    found = get(lab, CLUSTERS, name, namespace)
    return {} if found is None else dict(found.get("status", {}))


def is_healthy(lab: Lab, name: str, namespace: str, instances: int = 2) -> bool:
    """Whether the operator says so, with so many instances ready."""
    found = state(lab, name, namespace)
    return found.get("phase") == HEALTHY and found.get("readyInstances") == instances


def ask(lab: Lab, pod: str, namespace: str, database: str, statement: str) -> Ran:
    """A statement in the pod's PostgreSQL, over the socket in ``/controller/run``."""
    inside = ["psql", "-XqtA", "-h", "/controller/run", "-U", "postgres", "-d", database, "-c", statement]
    return kubectl(lab, "exec", "-n", namespace, pod, "-c", "postgres", "--", *inside)


def psql(lab: Lab, pod: str, namespace: str, database: str, statement: str) -> str:
    """What a statement answers, which must not fail."""
    asked = ask(lab, pod, namespace, database, statement)
    assert asked.status == 0, asked.err
    return asked.out.strip()


def follows(lab: Lab, name: str, namespace: str) -> bool:
    """Whether the primary has one replica, which has all that it has."""
    primary = state(lab, name, namespace).get("currentPrimary", "")
    behind = "select count(*) from pg_stat_replication where state = 'streaming' and replay_lsn = pg_current_wal_lsn()"
    return ask(lab, primary, namespace, "postgres", behind).out.strip() == "1"


def apply(lab: Lab, *objects: dict[str, Any]) -> None:
    """Create objects or change them."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    done = kubectl(lab, "apply", "--server-side", "-f", "-", stdin=json.dumps(listed))
    assert done.status == 0, done.err
