"""What changed between two looks at a cluster. Pure; equal looks differ in nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit.drill import record
from drkit.drill.watch.views import NodeView, PodView, PostgresView, SliceView, TargetView
from drkit.providers.port import HEALTHY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.drill.watch.views import Endpoint, View

GONE = "gone"
"""In ``more`` of what was made not ready, or taken away, by its removal."""


@dataclass(frozen=True)
class Change:
    """An ``Event`` that has no time yet; see there."""

    what: str
    who: str
    more: Mapping[str, str] = field(default_factory=dict)
    stamp: str = ""

    def seen(self, at: float, within: float | None = None) -> record.Event:
        """The entry.

        Args:
            at: when it was seen, in seconds since the record's begin.
            within: how many seconds before that it may have happened; None where it was seen at once.
        """
        late = {} if within is None else {record.WITHIN: f"{within:.3f}"}
        return record.Event(at, self.what, self.who, {**self.more, **late}, self.stamp)


def changes(before: Mapping[str, View], after: Mapping[str, View]) -> list[Change]:
    """What became of ``before`` on the way to ``after``, in order of names; what went there and back is not seen.

    Args:
        before: views by their names.
        after: likewise, of the same kind.
    """
    found: list[Change] = []
    services: set[str] = set()
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is new or old == new:
            continue
        # A service's endpoints are those of all its slices together: they move from one to another.
        services |= {each.service for each in (old, new) if isinstance(each, SliceView)}
        if new is not None:
            found += _became(old, new)
        elif old is not None:
            found += _went(old)
    for service in sorted(services):
        found += _endpoints(service, _of(before, service), _of(after, service))
    return found


def _became(old: View | None, new: View) -> Iterator[Change]:
    match new:
        case NodeView():
            yield from _node(old if isinstance(old, NodeView) else None, new)
        case PodView():
            yield from _pod(old if isinstance(old, PodView) else None, new)
        case PostgresView():
            yield from _postgres(old if isinstance(old, PostgresView) else PostgresView(new.name), new)
        case TargetView():
            healthy = new.status == HEALTHY
            if old is None or (isinstance(old, TargetView) and (old.status == HEALTHY) != healthy):
                what = record.TARGET_HEALTHY if healthy else record.TARGET_UNHEALTHY
                yield Change(what, new.name, {"status": new.status})


def _went(old: View) -> Iterator[Change]:
    match old:
        case NodeView():
            yield Change(record.NODE_NOT_READY, old.name, {GONE: "yes"})
        case PodView():
            yield _pod_gone(old)
        case TargetView():
            yield Change(record.TARGET_UNHEALTHY, old.name, {GONE: "yes"})


def _node(old: NodeView | None, new: NodeView) -> Iterator[Change]:
    if old is None or old.ready != new.ready:
        yield Change(record.NODE_READY if new.ready else record.NODE_NOT_READY, new.name, stamp=new.since)
    before, after = dict(old.taints) if old else {}, dict(new.taints)
    for taint in sorted(after.keys() - before.keys()):
        yield Change(record.NODE_TAINTED, new.name, {"taint": taint}, after[taint])
    for taint in sorted(before.keys() - after.keys()):
        yield Change(record.NODE_UNTAINTED, new.name, {"taint": taint})


def _pod(old: PodView | None, new: PodView) -> Iterator[Change]:
    if old is not None and old.uid != new.uid:  # another pod, which took the name
        yield _pod_gone(old)
        old = None
    if old is None:
        yield Change(record.POD_CREATED, new.name, _about(new))
    elif old.node != new.node:
        yield Change(record.POD_SCHEDULED, new.name, _about(new))
    if (old is not None and old.ready) != new.ready:
        yield Change(record.POD_READY if new.ready else record.POD_NOT_READY, new.name, _about(new), new.since)
    if new.leaving and not (old and old.leaving):
        yield Change(record.POD_DELETED, new.name, _about(new), new.asked)


def _pod_gone(pod: PodView) -> Change:
    return Change(record.POD_GONE, pod.name, _about(pod))


def _about(pod: PodView) -> dict[str, str]:
    said = {"node": pod.node, "owner": pod.owner, "uid": pod.uid}
    return {key: value for key, value in said.items() if value}


def _postgres(old: PostgresView, new: PostgresView) -> Iterator[Change]:
    if new.target not in {old.target, new.primary}:
        more = {"from": new.primary, "to": new.target, "phase": new.phase}
        yield Change(record.FAILING_OVER, new.name, more, new.target_since)
    if new.primary != old.primary:
        more = {"from": old.primary, "to": new.primary, "phase": new.phase}
        yield Change(record.NEW_PRIMARY, new.name, more, new.primary_since)
    if (new.phase, new.ready) != (old.phase, old.ready):
        yield Change(record.CLUSTER_PHASE, new.name, {"phase": new.phase, "ready": new.ready})


def _of(views: Mapping[str, View], service: str) -> dict[Endpoint, str]:
    """A service's endpoints, and when the slice of each was last written."""
    slices = (each for each in views.values() if isinstance(each, SliceView) and each.service == service)
    return {endpoint: part.changed for part in slices for endpoint in part.endpoints}


def _endpoints(service: str, before: Mapping[Endpoint, str], after: Mapping[Endpoint, str]) -> Iterator[Change]:
    written = max(after.values(), default="")  # where the slice itself went, nobody noted when
    for each in sorted(before.keys() - after.keys(), key=_order):
        yield Change(record.ENDPOINT_REMOVED, service, _behind(each), written)
    for each in sorted(after.keys() - before.keys(), key=_order):
        yield Change(record.ENDPOINT_ADDED, service, _behind(each), after[each])


def _order(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.address, endpoint.pod, endpoint.node


def _behind(endpoint: Endpoint) -> dict[str, str]:
    said = {"address": endpoint.address, "pod": endpoint.pod, "node": endpoint.node}
    return {key: value for key, value in said.items() if value}
