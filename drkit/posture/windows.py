"""How long single steps of a failure take, from the settings. Pure; each with where its formula comes from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from drkit.posture.span import Span, longer, shorter

if TYPE_CHECKING:
    from drkit.posture.settings import Check, Database, NodeLoss, Operator, ProbeTimes, Settings, Workload

REMOVAL: Final = Span(0, 2)
"""From a pod that is not ready, or ends, until no node sends it anything: the EndpointSlice controller writes at once
(``endpointslice-updates-batch-period`` 0 s), kube-proxy follows within its ``minSyncPeriod`` of 1 s and the time
that it takes (Kubernetes: pkg/proxy/apis/config/v1alpha1/defaults.go)."""

START: Final = Span(1, 15)
"""From a pod's creation until its containers run, the image being on the node; an estimate, wide on purpose."""

REBOOT: Final = Span(5, 40)
"""From a server's start until its API answers again; an estimate: k3s waits for its datastore and its certificates."""

PROMOTION: Final = Span(1, 7)
"""From CloudNativePG's decision until the new primary writes and is the service's endpoint. It decides in steps that
wait 1 s each (internal/controller/cluster_controller.go: ``RequeueAfter``): the mark "pending", the end of WAL
receivers (``wal_receiver_timeout`` is 5 s), the target; then PostgreSQL leaves recovery, and a label changes."""

DELETED: Final = Span(1, 14)
"""From a primary's deletion until the new one writes: its shutdown comes before the above. CloudNativePG's own test of
a fast failover asserts 20 s."""

SWITCHOVER: Final = Span(1, 20)
"""From a node's cordon until another primary writes, the old one shutting down in its time."""

_MANAGER: Final = Span(13, 17.4)

STATUS: Final = Span(0, 1)
"""From what an operator watches until it looks after it."""

UPDATED: Final = Span(0, 4)
"""From a replica that is not ready until commits wait for it no longer: the operator changes the configuration, and
each instance reloads it."""


def node_lost(loss: NodeLoss) -> Span:
    """From a node's end until the node controller calls it lost, marks its pods as not ready and taints it.

    The controller looks every ``period`` and counts ``grace`` from when it *saw* the last renewal of the lease. That is
    up to ``period`` after it happened, which was up to ``heartbeat`` before the node ended; it finds out in the first
    look after that. With 10, 5 and 50 s that is 40 to 55 s.

    Source: Kubernetes 1.34, pkg/controller/nodelifecycle/node_lifecycle_controller.go, ``tryUpdateNodeHealth``.
    """
    looks = math.ceil(loss.grace.value / loss.period.value) * loss.period.value
    return Span(max(0.0, looks - loss.heartbeat.value), looks + loss.period.value)


def control_plane_lost(settings: Settings, node: str) -> bool:
    """Whether no control plane is left without a node: it was the only server, or etcd's quorum goes with it."""
    if node not in settings.servers:
        return False
    return len(settings.servers) == 1 or (settings.etcd > 1 and settings.etcd - 1 < settings.etcd // 2 + 1)


def noticed(settings: Settings, node: str) -> Span | None:
    """From a node's end until the node controller calls it lost; None where that ended with it.

    Where one of several servers is lost, that may have been the controller's. Another one takes over by a lease of
    15 s, tried every 2 s (kube-controller-manager's defaults), and counts the grace period from its own begin.
    """
    if control_plane_lost(settings, node):
        return None
    found = node_lost(settings.loss)
    if node not in settings.servers:
        return found
    return found | (_MANAGER + node_lost(replace(settings.loss, heartbeat=replace(settings.loss.heartbeat, value=0))))


def black_holed(check: Check) -> Span:
    """Until a load balancer gives up a target that answers nothing.

    ``retries`` checks in a row, one every ``interval``, of which the last takes its ``timeout``: with 15/10/3 at most
    55 s, with 3/1/3 at most 10 s. Source: Hetzner Cloud API, load balancers, health check.
    """
    interval, retries = check.interval.value, check.retries.value
    return Span(interval * (retries - 1), interval * retries) + Span(check.timeout.value, check.timeout.value)


def refused(check: Check) -> Span:
    """Likewise, a target that refuses connections: no check has to wait for its timeout."""
    return Span(check.interval.value * (check.retries.value - 1), check.interval.value * check.retries.value)


def failing(times: ProbeTimes) -> Span:
    """Until the kubelet acts on a container that answers nothing: ``failures`` probes in a row, likewise."""
    period, failures = times.period.value, times.failures.value
    return Span(period * (failures - 1), period * failures) + Span(times.timeout.value, times.timeout.value)


def started(workload: Workload) -> Span:
    """From a pod's creation until it is ready: after the delay, the first readiness probe that succeeds."""
    if workload.readiness is None:
        return START
    delay = workload.readiness.delay.value
    return START + Span(delay, delay + workload.readiness.period.value)


def replaced(noticed: Span, eviction: float, start: Span) -> Span:
    """From a node's end until a pod elsewhere does the work of one that was on it: seen, evicted, made again."""
    return noticed + Span(eviction, eviction) + start


def election(settings: Settings) -> Span:
    """Until etcd has a leader again.

    Nothing where a follower was lost; else a follower waits between one and two election timeouts before it stands
    (raft: ``resetRandomizedElectionTimeout``), then API servers reconnect.
    """
    return Span(0, 2 * settings.election.value + 2)


def taken_over(operator: Operator) -> Span:
    """Until another pod of an operator works.

    The lease was renewed up to ``retry`` before its holder ended; the other one tries every ``retry``, lengthened by up
    to a fifth (client-go: tools/leaderelection, ``JitterFactor`` 1.2).
    """
    lease, retry = operator.lease.value, operator.retry.value
    return Span(max(0.0, lease - retry), lease + 1.2 * retry)


def primary_lost(settings: Settings, database: Database, node: str) -> Span | None:
    """From the end of the primary's node until somebody decides to promote; None where nobody does.

    CloudNativePG's operator looks when something that it watches changes: the pod that is marked as not ready with its
    node. Where its own leader was on that node, another one begins by looking at everything, which may be earlier: this
    is how 24 s came about with a grace period of 50 s. It then waits ``status_timeout`` for the instance. The lab's
    stand-in does not depend on its operator: a replica takes Patroni's lease when that has expired.
    """
    operator, lost = settings.operator, noticed(settings, node)
    if lost is None:
        return None
    if operator is not None and operator.stand_in and database.lease is not None and database.lease_retry is not None:
        retry = database.lease_retry.value
        return Span(max(0.0, database.lease.value - retry), database.lease.value + retry)
    asked = Span(0, database.status_timeout.value) + STATUS
    seen = lost + asked
    if operator is not None:
        seen = _by_operator(operator, node, lost, asked)
    if database.lease is not None and database.lease_retry is not None:
        expiry = Span(
            max(0.0, database.lease.value - database.lease_retry.value),
            database.lease.value + 1.2 * database.lease_retry.value,
        )
        seen = longer(seen, expiry)
    return seen + Span(database.failover_delay.value, database.failover_delay.value)


def _by_operator(operator: Operator, node: str, lost: Span, asked: Span) -> Span:
    seen = lost + asked
    if node not in operator.nodes:
        return seen
    if operator.replicas == 1 or set(operator.nodes) == {node}:
        return replaced(lost, operator.eviction.value, START) + asked
    at_once = shorter(seen, taken_over(operator) + asked)
    if operator.leader == node:
        return at_once
    return seen if operator.leader else seen | at_once
