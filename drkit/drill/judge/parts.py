"""Where the seconds of an outage went: along the path that ended it. Pure.

What has to happen until a service answers again happens side by side: a load balancer finds a target dead by itself
while the cluster waits for a node's grace period. What took longest is what the outage lasted for, so what happened
last before it ended is looked at, and what that had waited for:

- a load balancer's own check waits for nothing;
- endpoints go, and pods are rescheduled, after the loss was noticed (node not ready or tainted, pod not ready);
- a promotion comes after the operator wanted one, or else after the loss was noticed; of a database's endpoints only
  those that changed after the promotion had to be waited for;
- where the fault was undone after all of that, nothing had taken over before.

From there to the success that ended it is reconnection. What nothing shows is not explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill import record
from drkit.drill.judge.happened import promotions, rescheduled
from drkit.drill.values import DNS, HTTP, KUBE_API, SQL_READ, SQL_WRITE, TCP
from drkit.drill.verdict import BALANCER, DETECTION, ENDPOINTS, OTHER, PROMOTION, RECONNECTION, RESCHEDULING, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from drkit.drill.judge.faults import Faults
    from drkit.drill.judge.sights import Sight
    from drkit.drill.values import Drill
    from drkit.drill.verdict import Outage

_PATHS = {
    HTTP: (BALANCER, ENDPOINTS, RESCHEDULING, PROMOTION),
    TCP: (BALANCER, ENDPOINTS, RESCHEDULING, PROMOTION),
    SQL_READ: (ENDPOINTS, RESCHEDULING, PROMOTION),
    SQL_WRITE: (ENDPOINTS, RESCHEDULING, PROMOTION),
    KUBE_API: (BALANCER, ENDPOINTS),
    DNS: (ENDPOINTS, RESCHEDULING),
}
"""What a probe of each kind may have waited for."""
_SQL = frozenset({SQL_READ, SQL_WRITE})
_TAINTS = ("not-ready", "unreachable")
_STATUS_SECONDS = 1.0
"""A new primary answers before the cluster's status names it: by so much a promotion may be seen after the success."""

_Step = tuple[str, float, str]
"""A part's name, when it ended, and what shows it."""


@dataclass(frozen=True)
class Explained:
    """All that explains the outages of a drill, each in order of time.

    Attributes:
        noticed: that something is lost: nodes and pods that are not ready, nodes that were tainted for it.
        wanted: that another primary is wanted.
        ends: by the part that they end.
        undoing: when undoing faults began.
    """

    noticed: Sequence[Sight]
    wanted: Sequence[Sight]
    ends: dict[str, Sequence[Sight]]
    faults: Faults

    def parts(self, outage: Outage, kind: str) -> tuple[Part, ...]:
        """Where the seconds of an outage of a probe of that kind went: from its begin to its end, without gaps."""
        end = round(outage.first_failure + outage.seconds, 6) if outage.first_success is None else outage.first_success
        if end <= outage.first_failure:
            return ()
        steps = list(self._steps(outage.first_failure, end, kind))
        ended = outage.first_success is not None
        if not ended:
            steps.append((OTHER, end, "it did not end"))
        elif not steps or steps[-1][0] == DETECTION:
            steps.append((OTHER, end, "nothing that was seen shows what ended it"))
        else:
            steps.append((RECONNECTION, end, "until the first of the successes in a row"))
        return tuple(_contiguous(outage.first_failure, end, steps))

    def _steps(self, begin: float, end: float, kind: str) -> Iterator[_Step]:
        last: tuple[float, str, Sight] | None = None
        for name in _PATHS.get(kind, ()):
            slack = _STATUS_SECONDS if name == PROMOTION and kind in _SQL else 0.0
            sight = _latest(self.ends[name], begin, end + slack)
            if sight is not None and (last is None or sight.at > last[0]):
                last = sight.at, name, sight
        undone = max((each for each in self.faults.undoing if begin < each < end), default=None)
        if undone is not None and (last is None or undone > last[0]):
            yield OTHER, undone, "nothing took over before the fault was undone"
            return
        if last is None:
            noticed = self._first_noticed(begin, end)
            if noticed is not None:
                yield DETECTION, noticed.at, noticed.why
            return
        at, name, sight = last
        yield from self._before(begin, at, name, kind)
        yield name, at, sight.why

    def _before(self, begin: float, at: float, name: str, kind: str) -> Iterator[_Step]:
        """What had to come before what happened last."""
        if name == BALANCER:
            return
        promoted = _latest(self.ends[PROMOTION], begin, at) if name == ENDPOINTS and kind in _SQL else None
        if promoted is not None:
            yield from self._before(begin, promoted.at, PROMOTION, kind)
            yield PROMOTION, promoted.at, promoted.why
            return
        noticed = _latest(self.wanted, self._since(begin), at) if name == PROMOTION else None
        noticed = noticed or self._first_noticed(begin, at)
        if noticed is not None:
            yield DETECTION, noticed.at, noticed.why
        else:
            yield OTHER, at, f"nothing shows when the loss was noticed that {name} came after"

    def _first_noticed(self, begin: float, end: float) -> Sight | None:
        since = self._since(begin)
        return next((each for each in self.noticed if since <= each.at < end), None)

    def _since(self, begin: float) -> float:
        """When the fault was sent that an outage is of: the loss may be noticed before the first question fails."""
        sent = self.faults.before(begin)
        return begin if sent is None else sent


def explained(drill: Drill, seen: Sequence[Sight], faults: Faults) -> Explained:
    """What explains the outages of a drill.

    Args:
        drill: what was to be done.
        seen: all events, in order of time.
        faults: its faults.
    """
    targets = {each.target for each in drill.injections}
    return Explained(
        noticed=[each for each in seen if _notices(each, targets)],
        wanted=[each for each in seen if each.what == record.FAILING_OVER],
        ends={
            BALANCER: [each for each in seen if each.what == record.TARGET_UNHEALTHY],
            ENDPOINTS: [each for each in seen if each.what == record.ENDPOINT_REMOVED],
            RESCHEDULING: rescheduled(drill, seen, faults),
            PROMOTION: promotions(seen, faults),
        },
        faults=faults,
    )


def _notices(sight: Sight, targets: AbstractSet[str]) -> bool:
    if sight.what == record.NODE_TAINTED:
        taint = str(sight.event.more.get("taint", ""))
        return not taint or any(each in taint for each in _TAINTS)
    if sight.what in {record.POD_NOT_READY, record.POD_DELETED, record.POD_GONE}:  # pods come and go all the time
        return bool({sight.node, sight.event.who} & targets)
    return sight.what == record.NODE_NOT_READY


def _latest(seen: Sequence[Sight], begin: float, end: float) -> Sight | None:
    return next((each for each in reversed(seen) if begin < each.at <= end), None)


def _contiguous(begin: float, end: float, steps: Sequence[_Step]) -> Iterator[Part]:
    at = begin
    for name, until, why in steps:
        ended = min(max(at, until), end)
        if ended > at:
            yield Part(name, at, ended, why)
        at = ended
