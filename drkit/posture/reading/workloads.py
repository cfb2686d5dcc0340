"""Deployments, StatefulSets and DaemonSets: how many pods, where, and how long they stay where they are lost. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from drkit.cluster import fields as look
from drkit.posture.settings import ProbeTimes, Setting, Workload
from drkit.posture.snapshot import nodes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.cluster.kube import Object
    from drkit.posture.snapshot import Snapshot

RUNNING: Final[Mapping[str, str]] = {
    "deployments.apps": "Deployment",
    "statefulsets.apps": "StatefulSet",
    "daemonsets.apps": "DaemonSet",
}
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_WEB: Final = frozenset({80, 443})
_INGRESSES: Final = frozenset({"traefik", "ingress-nginx", "haproxy-ingress", "kubernetes-ingress", "contour", "envoy"})


def workloads(snapshot: Snapshot, eviction: Setting) -> tuple[Workload, ...]:
    """All of them, by namespace and name."""
    found = [
        _workload(snapshot, kind, obj, eviction) for listed, kind in RUNNING.items() for obj in snapshot.of(listed)
    ]
    return tuple(sorted(found, key=lambda each: (each.namespace, each.name, each.kind)))


def _workload(snapshot: Snapshot, kind: str, obj: Object, eviction: Setting) -> Workload:
    where = f"{kind} {look.namespace(obj)}/{look.name(obj)}"
    pod = look.mapping(obj, "spec", "template", "spec")
    pods = snapshot.pods_of(look.namespace(obj), look.mapping(obj, "spec", "selector"))
    termination = look.number(pod, "terminationGracePeriodSeconds")
    return Workload(
        kind=kind,
        namespace=look.namespace(obj),
        name=look.name(obj),
        replicas=replicas(kind, obj),
        nodes=nodes_of(pods),
        eviction=stays(pod, where, eviction) if kind == "Deployment" else _never(kind),
        termination=Setting(30, "Kubernetes' default") if termination is None else Setting(termination, where),
        readiness=_times(pod, "readinessProbe", where),
        liveness=_times(pod, "livenessProbe", where),
        ingress=is_ingress(obj),
    )


def replicas(kind: str, obj: Object) -> int:
    """How many pods a workload wants."""
    if kind == "DaemonSet":
        return int(look.number(obj, "status", "desiredNumberScheduled") or 0)
    found = look.number(obj, "spec", "replicas")
    return 1 if found is None else int(found)


def _never(kind: str) -> Setting:
    """A DaemonSet's pod belongs to its node; a StatefulSet's is not replaced before its node says that it ended."""
    return Setting(math.inf, f"a {kind}'s pods are not replaced elsewhere")


def stays(pod: Any, where: str, default: Setting) -> Setting:
    """How long a pod stays on a node that is unreachable.

    Source: kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration: no seconds mean for ever; of several
    the shortest counts.
    """
    seconds = [
        math.inf if (given := look.number(each, "tolerationSeconds")) is None else given
        for each in look.items(pod, "tolerations")
        if _tolerates(each)
    ]
    return Setting(min(seconds), f"tolerations of {where}") if seconds else default


def _tolerates(toleration: Any) -> bool:
    operator = look.text(toleration, "operator") or "Equal"
    key, effect = look.text(toleration, "key"), look.text(toleration, "effect")
    named = key == _UNREACHABLE and (operator == "Exists" or not look.text(toleration, "value"))
    return effect in {"", "NoExecute"} and (named or (not key and operator == "Exists"))


def _times(pod: Any, probe: str, where: str) -> ProbeTimes | None:
    """The probe of the first container that has it. Source of the defaults: the Pod API, ``Probe``."""
    for container in look.items(pod, "containers"):
        given = look.mapping(container, probe)
        if given:
            return ProbeTimes(
                _given(given, "periodSeconds", 10, probe, where),
                _given(given, "failureThreshold", 3, probe, where),
                _given(given, "timeoutSeconds", 1, probe, where),
                _given(given, "initialDelaySeconds", 0, probe, where),
            )
    return None


def _given(probe: Mapping[str, Any], key: str, default: float, which: str, where: str) -> Setting:
    found = look.number(probe, key)
    return Setting(default, f"Kubernetes' default of {key}") if found is None else Setting(found, f"{which} of {where}")


def is_ingress(obj: Object) -> bool:
    """Whether traffic from outside comes to a workload first: on the nodes' own web ports, or by the name it has."""
    template = look.mapping(obj, "spec", "template")
    ports = [port for each in look.items(template, "spec", "containers") for port in look.items(each, "ports")]
    if any(look.number(port, "hostPort") in _WEB for port in ports):
        return True
    labels = look.mapping(template, "metadata", "labels")
    return bool({look.text(labels, "app.kubernetes.io/name"), look.text(labels, "app")} & _INGRESSES)
