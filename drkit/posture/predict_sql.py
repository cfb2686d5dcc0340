"""Windows of PostgreSQL. Pure; see ``drkit.posture.predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.values import SQL_WRITE
from drkit.drill.verdict import DETECTION, ENDPOINTS, PROMOTION, RECONNECTION
from drkit.posture import windows
from drkit.posture.paths import (
    DRAINED,
    NODE_DOWN,
    NODE_ISOLATED,
    POD_DELETED,
    POOLER,
    RO,
    RW,
    Failure,
    Path,
    R,
    Target,
    until_undone,
)
from drkit.posture.predict_web import looked_up
from drkit.posture.span import Span

if TYPE_CHECKING:
    from drkit.posture.settings import Database, Pooler, Settings

_SEEN = Span(0, 3)
_STAND_IN_SYNCHRONOUS = Span(3, 12)
"""Until Patroni no longer has commits wait for a replica: ``wal_sender_timeout`` of 5 s, and a loop of its own."""
_PAIR = 2


def paths(settings: Settings, target: Target, failure: Failure) -> list[Path]:
    """The ways of sql-read and sql-write: through a pooler or a service to a server, and of a commit to a replica."""
    database = next((each for each in settings.databases if str(each) == target.database), None)
    if database is None:
        return []
    pooler = next(
        (each for each in settings.poolers if each.database == target.database and each.role == RW),
        None,
    )
    through = pooler if target.route == POOLER else None
    found = [] if through is None else [*_pooled(settings, through, failure), *looked_up(settings, failure)]
    if target.route in {RW, POOLER}:
        found += _primary(settings, database, through, failure)
    else:
        found += _replicas(settings, database, target.route, failure)
    if target.kind == SQL_WRITE:
        found += _synchronous(settings, database, failure)
    return found


def _pooled(settings: Settings, pooler: Pooler, failure: Failure) -> list[Path]:
    """Poolers on the node: what is sent to them is lost until they are endpoints no more."""
    if failure.kind == POD_DELETED and failure.pod_of == f"{pooler.namespace}/{pooler.name}":
        share = 1 / max(1, len(pooler.nodes))
        return [Path(((ENDPOINTS, windows.REMOVAL if share < 1 else windows.START),), share)]
    hit = sum(node == failure.node for node in pooler.nodes)
    if not hit or failure.kind not in {NODE_DOWN, NODE_ISOLATED, DRAINED}:
        return []
    share = hit / len(pooler.nodes)
    if failure.kind == DRAINED:
        return [Path(((ENDPOINTS, windows.REMOVAL if share < 1 else windows.START),), share)]
    lost = windows.noticed(settings, failure.node)
    if share == 1 or lost is None:
        return [until_undone(failure.lasts, windows.START, share)]
    return [Path(((DETECTION, lost), (ENDPOINTS, windows.REMOVAL)), share)]


def _primary(settings: Settings, database: Database, pooler: Pooler | None, failure: Failure) -> list[Path]:
    """The primary and its successor."""
    hit = failure.pod_of == str(database) if failure.kind == POD_DELETED else failure.node == database.primary
    if not hit or not (failure.node or failure.pod_of):
        return []
    again = reconnected(pooler)
    if failure.kind == POD_DELETED:
        promotion = windows.DELETED if database.instances > 1 else windows.START
        return [Path(((DETECTION, _SEEN), (PROMOTION, promotion), (RECONNECTION, again)))]
    if failure.kind == DRAINED:
        promotion = windows.SWITCHOVER if database.instances > 1 else windows.START
        return [Path(((PROMOTION, promotion), (RECONNECTION, again)))]
    if failure.kind not in {NODE_DOWN, NODE_ISOLATED}:
        return []
    lost = windows.primary_lost(settings, database, failure.node)
    if lost is None or database.instances < _PAIR or set(database.nodes) == {failure.node}:
        return [until_undone(failure.lasts, windows.REBOOT + again)]
    return [Path(((DETECTION, lost), (PROMOTION, windows.PROMOTION), (RECONNECTION, again)))]


def reconnected(pooler: Pooler | None) -> Span:
    """From a new primary until clients write to it.

    A service's clients come with their next connection. PgBouncer opens one connection to a server at a time: the one
    that it tries when the primary changes has to fail first, then it waits before the next (pgbouncer.org/config.html:
    ``server_connect_timeout``, ``server_login_retry``).
    """
    if pooler is None:
        return windows.REMOVAL
    return windows.REMOVAL + Span(0, pooler.connect_timeout.value + pooler.login_retry.value)


def _replicas(settings: Settings, database: Database, route: str, failure: Failure) -> list[Path]:
    """Replicas behind a service: ``ro`` leads to them alone, ``r`` to the primary as well."""
    if failure.kind not in {NODE_DOWN, NODE_ISOLATED} or failure.node not in database.nodes:
        return []
    serving = [node for node in database.nodes if route == R or node != database.primary]
    if route == RO and failure.node == database.primary:
        # The replica that is promoted leaves the service: where it was the only one, nobody is left there.
        return [] if len(serving) > 1 else [until_undone(failure.lasts, windows.REBOOT)]
    share = sum(node == failure.node for node in serving) / len(serving)
    lost = windows.noticed(settings, failure.node)
    if share == 1 or lost is None:
        return [until_undone(failure.lasts, windows.REBOOT, share)]
    return [Path(((DETECTION, lost), (ENDPOINTS, windows.REMOVAL)), share)]


def _synchronous(settings: Settings, database: Database, failure: Failure) -> list[Path]:
    """Commits that wait for a replica on the node that is lost.

    CloudNativePG has commits wait for instances that are ready, and one is until its node counts as lost: with two
    instances nothing is written before that, the new primary's commits included, which wait for the old one. With
    ``required`` they wait until it is back (CloudNativePG: docs/src/replication.md, "Data Durability").
    """
    if not database.synchronous or database.instances > _PAIR or failure.kind not in {NODE_DOWN, NODE_ISOLATED}:
        return []
    if failure.node not in database.nodes or set(database.nodes) == {failure.node}:
        return []
    lost = windows.noticed(settings, failure.node)
    if database.synchronous == "required" or lost is None:
        return [until_undone(failure.lasts, windows.REBOOT)]
    if settings.operator is not None and settings.operator.stand_in:
        return [] if failure.node == database.primary else [Path(((DETECTION, _STAND_IN_SYNCHRONOUS),))]
    return [Path(((DETECTION, lost), (RECONNECTION, windows.STATUS + windows.UPDATED)))]
