"""Windows of pages, ports, names and the API. Pure; see ``drkit.posture.predict``.

What is left out: an ingress that asks another pod when one does not answer makes windows shorter; one that reaches its
pods through kube-proxy on other nodes has the window of their nodes, which is the same as the application's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.verdict import BALANCER, DETECTION, ENDPOINTS, OTHER
from drkit.posture import windows
from drkit.posture.paths import (
    DRAINED,
    NODE_DOWN,
    NODE_ISOLATED,
    POD_DELETED,
    TARGET_REMOVED,
    Failure,
    Path,
    Target,
    until_undone,
)
from drkit.posture.span import Span

if TYPE_CHECKING:
    from drkit.posture.settings import Settings, Workload

_NOTICED = Span(0, 1)
"""Until a load balancer follows a change of its targets."""
_MAJORITY = 2


def page(settings: Settings, target: Target, failure: Failure) -> list[Path]:
    """The ways of http and tcp: through the load balancer to a node, and from there to a pod."""
    found = next((each for each in settings.workloads if str(each) == target.workload), None)
    asks = looked_up(settings, failure) if found is not None else []
    return [*_balanced(settings, target, failure, found), *_served(settings, failure, found), *asks]


def _balanced(settings: Settings, target: Target, failure: Failure, behind: Workload | None) -> list[Path]:
    check = next((each for each in settings.checks if each.port == target.port), None)
    if check is None or failure.node not in check.targets:
        return []
    share = 1 / len(check.targets)
    if failure.kind == TARGET_REMOVED:
        return [Path(((BALANCER, _NOTICED),), share)]
    if failure.kind == NODE_ISOLATED:
        # Its checks go on to succeed, and what it forwards to other nodes goes lost.
        elsewhere = sum(node != failure.node for node in behind.nodes) if behind else 1
        return [until_undone(failure.lasts, share=share)] if elsewhere else []
    if failure.kind != NODE_DOWN:
        return []
    if share == 1:
        return [until_undone(failure.lasts, windows.refused(check))]
    return [Path(((BALANCER, windows.black_holed(check)),), share)]


def _served(settings: Settings, failure: Failure, workload: Workload | None) -> list[Path]:
    """From a node to a pod, through a service."""
    if workload is None or failure.kind == TARGET_REMOVED:
        return []
    if failure.kind == POD_DELETED:
        return [_one_less(workload)] if failure.pod_of == str(workload) else []
    hit = sum(node == failure.node for node in workload.nodes)
    return [_without(settings, failure, workload, hit / len(workload.nodes))] if hit else []


def _without(settings: Settings, failure: Failure, workload: Workload, share: float) -> Path:
    """A workload of which a share was on the node."""
    if failure.kind == DRAINED:
        return Path(((ENDPOINTS, windows.REMOVAL if share < 1 else windows.started(workload)),), share)
    lost = windows.noticed(settings, failure.node)
    if lost is None:
        return until_undone(failure.lasts, windows.REBOOT, share)
    if share < 1:
        return Path(((DETECTION, lost), (ENDPOINTS, windows.REMOVAL)), share)
    eviction = workload.eviction.value
    if eviction > failure.lasts:
        # It comes back before anything else is tried.
        return until_undone(failure.lasts, windows.REBOOT)
    return Path(((DETECTION, lost), (ENDPOINTS, Span(eviction, eviction)), (OTHER, windows.started(workload))))


def _one_less(workload: Workload) -> Path:
    """A pod that is deleted: it is no endpoint from then on, and may end before all nodes know."""
    if len(workload.nodes) > 1:
        return Path(((ENDPOINTS, windows.REMOVAL),), 1 / len(workload.nodes))
    return Path(((ENDPOINTS, windows.REMOVAL), (OTHER, windows.started(workload))))


def names(settings: Settings, failure: Failure) -> list[Path]:
    """The ways of dns: from a node that the failure spares to CoreDNS."""
    return _served(settings, failure, _coredns(settings))


def looked_up(settings: Settings, failure: Failure) -> list[Path]:
    """What the loss of the only control plane does to whoever looks up names: anything between nothing and all.

    Nobody is left who would take a dead CoreDNS from its service, so that kube-proxy goes on to send it its share of
    the questions. Who keeps its connections does not notice; who connects anew by name, as many do for each request,
    waits for a resolver's timeout of 5 s (resolv.conf(5)) again and again. Settings do not say which of them it is.
    """
    served = _coredns(settings)
    if served is None or failure.kind != NODE_DOWN or failure.node not in served.nodes:
        return []
    if windows.noticed(settings, failure.node) is not None:
        return []
    share = sum(node == failure.node for node in served.nodes) / len(served.nodes)
    return [Path(((OTHER, Span(0, failure.lasts + windows.REBOOT.high)),), share, lasting=True)]


def _coredns(settings: Settings) -> Workload | None:
    served = (each for each in settings.workloads if each.name == "coredns" and each.namespace == "kube-system")
    return next(served, None)


def api(settings: Settings, target: Target, failure: Failure) -> list[Path]:
    """The ways of kube-api: to one server, and from there to the datastore."""
    if failure.kind not in {NODE_DOWN, NODE_ISOLATED} or failure.node not in settings.servers:
        return []
    left = settings.etcd - 1
    without_quorum = settings.etcd > 1 and left < settings.etcd // 2 + 1
    asked = target.server or settings.servers[0]
    if asked == failure.node and (failure.kind == NODE_DOWN or settings.etcd >= _MAJORITY):
        return [until_undone(failure.lasts, windows.REBOOT)]
    if without_quorum:
        return [until_undone(failure.lasts, windows.election(settings))]
    return [Path(((DETECTION, windows.election(settings)),))] if settings.etcd > 1 else []
