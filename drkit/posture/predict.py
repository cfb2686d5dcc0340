"""How long a probe would fail, from the settings: windows with their parts and their error. Pure.

A window is what a drill measures: from the first question that fails to the first of those that succeed again in a row,
while part of the questions may succeed in between. Times between questions are left to the drill's own error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from drkit.drill.values import CONTROL, HTTP, KUBE_API, SQL_READ, SQL_WRITE, TCP
from drkit.posture import predict_sql, predict_web, windows
from drkit.posture.paths import (
    DRAINED,
    NODE_DOWN,
    NODE_ISOLATED,
    POD_DELETED,
    POOLER,
    RO,
    RW,
    TARGET_REMOVED,
    Failure,
    R,
    Target,
    predicted,
)
from drkit.posture.span import Span

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
    back = _back(failure)
    match target.kind:
        case "http" | "tcp":
            return predicted(predict_web.page(settings, target, failure), back)
        case "dns":
            return predicted(predict_web.names(settings, failure), back)
        case "kube-api":
            return predicted(predict_web.api(settings, target, failure), back)
        case "sql-read" | "sql-write":
            return predicted(predict_sql.paths(settings, target, failure), back)
        case other:
            raise ValueError(f"no probe asks {other}")


def _back(failure: Failure) -> Span | None:
    """When a node that was lost is there again; None where the failure is not one that lasts."""
    if failure.kind not in {NODE_DOWN, NODE_ISOLATED}:
        return None
    return Span(failure.lasts, failure.lasts) + (windows.REBOOT if failure.kind == NODE_DOWN else windows.REMOVAL)


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


def target_of(settings: Settings, probe: Probe) -> Target:
    """Whom a drill's probe asks, by its options (``drkit.drill.choose_probes`` says which there are)."""
    if probe.kind in {SQL_READ, SQL_WRITE}:
        database = probe.options.get("cluster", "")
        return Target(probe.kind, database=database, route=_route(settings, database, probe.options.get("service", "")))
    if probe.kind == KUBE_API:
        host = urlsplit(probe.options.get("server", "")).hostname or ""
        return Target(KUBE_API, server=dict(settings.addresses).get(host, ""))
    if probe.kind in {HTTP, TCP}:
        return _page(settings, probe)
    return Target(probe.kind)


def _route(settings: Settings, database: str, service: str) -> str:
    """By which of a cluster's services it is asked; all are ``namespace/name``."""
    if any(service == f"{each.namespace}/{each.name}" for each in settings.poolers):
        return POOLER
    return {f"{database}-ro": RO, f"{database}-r": R}.get(service, RW)


def _page(settings: Settings, probe: Probe) -> Target:
    asked = probe.options.get("url") or f"tcp://{probe.options.get('address', '')}"
    address = urlsplit(asked)
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


def for_drill(settings: Settings, drill: Drill) -> dict[str, Any]:
    """What is expected of a drill's probes, by name, as the record's first entry has it.

    Only of drills with one fault, of which something is known: two in a row would need what the first has changed.

    Args:
        settings: the cluster's.
        drill: the drill; its control probe asks nobody, and is not predicted.
    """
    if len(drill.injections) != 1:
        return {}
    failure = failure_of(settings, drill.injections[0])
    if failure is None:
        return {}
    asking = [each for each in drill.probes if each.kind != CONTROL]
    return {each.name: predict(settings, target_of(settings, each), failure).as_json() for each in asking}
