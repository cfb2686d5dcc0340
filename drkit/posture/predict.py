"""How long a probe would fail, from the settings: windows with their parts and their error. Pure.

A window is what a drill measures: from the first question that fails to the first of those that succeed again in a row,
while part of the questions may succeed in between. Times between questions are left to the drill's own error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from drkit.drill.values import HTTP, KUBE_API, SQL_READ, SQL_WRITE, TCP
from drkit.posture import predict_sql, predict_web
from drkit.posture.paths import (
    DRAINED,
    NODE_DOWN,
    NODE_ISOLATED,
    POD_DELETED,
    POOLER,
    RW,
    TARGET_REMOVED,
    Failure,
    Target,
    predicted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.drill.values import Drill, Injection, Probe
    from drkit.posture.paths import Prediction
    from drkit.posture.settings import Settings

FAULTS: Final[Mapping[str, str]] = {
    "power-off": NODE_DOWN,
    "reset": NODE_DOWN,
    "isolate": NODE_ISOLATED,
    "drain": DRAINED,
    "delete-pod": POD_DELETED,
    "detach": TARGET_REMOVED,
}
"""What a drill's fault means to a cluster. Of others nothing is predicted."""
_PORTS: Final = {"https": 443, "http": 80}


def predict(settings: Settings, target: Target, failure: Failure) -> Prediction:
    """How long a target would fail; 0 seconds where it would not.

    Raises:
        ValueError: there are no such probes.
    """
    match target.kind:
        case "http" | "tcp":
            return predicted(predict_web.page(settings, target, failure))
        case "dns":
            return predicted(predict_web.names(settings, failure))
        case "kube-api":
            return predicted(predict_web.api(settings, target, failure))
        case "sql-read" | "sql-write":
            return predicted(predict_sql.paths(settings, target, failure))
        case other:
            raise ValueError(f"no probe asks {other}")


def failure_of(settings: Settings, injection: Injection) -> Failure | None:
    """What a drill's fault does; None where nothing is known of it.

    Args:
        settings: the cluster's.
        injection: the fault; a pod's name tells whose it is: it begins with its workload's or its cluster's.
    """
    kind = FAULTS.get(injection.fault)
    if kind is None:
        return None
    if kind != POD_DELETED:
        return Failure(kind, node=injection.target, lasts=injection.lasts)
    known = [str(each) for each in (*settings.workloads, *settings.databases)]
    known += [f"{each.namespace}/{each.name}" for each in settings.poolers]
    owners = [each for each in known if injection.target.startswith(f"{each}-")]
    return Failure(kind, pod_of=max(owners, key=len), lasts=injection.lasts) if owners else None


def target_of(settings: Settings, probe: Probe, *, database: str = "", route: str = "", server: str = "") -> Target:
    """Whom a drill's probe asks.

    Args:
        settings: the cluster's.
        probe: the probe; of pages and ports, ``where`` is a URL or ``host:port``.
        database: of sql: ``namespace/name``; the only one there is, where it is left out.
        route: likewise: ``pooler``, ``rw``, ``ro`` or ``r``; by default the pooler, where there is one.
        server: of kube-api: the node whose server is asked.
    """
    if probe.kind in {SQL_READ, SQL_WRITE}:
        named = database or (str(settings.databases[0]) if len(settings.databases) == 1 else "")
        pooled = any(each.database == named for each in settings.poolers)
        return Target(probe.kind, database=named, route=route or (POOLER if pooled else RW))
    if probe.kind == KUBE_API:
        return Target(KUBE_API, server=server)
    if probe.kind in {HTTP, TCP}:
        return _page(settings, probe)
    return Target(probe.kind)


def _page(settings: Settings, probe: Probe) -> Target:
    address = urlsplit(probe.where if "://" in probe.where else f"tcp://{probe.where}")
    try:
        port = address.port or _PORTS.get(address.scheme, 0)
    except ValueError:
        port = 0
    host, path = address.hostname or "", address.path or "/"
    routes = [each for each in settings.routes if each.host in {host, ""} and path.startswith(each.path)]
    chosen = [each for each in routes if each.host] or routes
    ports = {each.port for each in settings.checks}
    # Whoever reaches a load balancer under another port, as a lab's on this machine, means one for the same scheme.
    balanced = port if port in ports else _PORTS.get(address.scheme, 0)
    return Target(probe.kind, workload=chosen[0].workload if chosen else "", port=balanced)


def for_drill(settings: Settings, drill: Drill, targets: Mapping[str, Target]) -> dict[str, Any]:
    """What is expected of a drill's probes, by name, as the record's first entry has it.

    Only of drills with one fault, of which something is known: two in a row would need what the first has changed.

    Args:
        settings: the cluster's.
        drill: the drill.
        targets: whom its probes ask, by the probe's name; one that lacks is not predicted.
    """
    if len(drill.injections) != 1:
        return {}
    failure = failure_of(settings, drill.injections[0])
    if failure is None:
        return {}
    return {name: predict(settings, target, failure).as_json() for name, target in targets.items()}
