"""What a drill brought about: promotions, and pods that came back elsewhere. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drkit.drill.judge.finding import exceeded, note
from drkit.drill.record import NEW_PRIMARY, POD_CREATED, POD_READY, WATCH_TROUBLE
from drkit.drill.values import PROMOTED, RESCHEDULED
from drkit.drill.verdict import Happened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.judge.faults import Faults
    from drkit.drill.judge.finding import Finding
    from drkit.drill.judge.sights import Sight
    from drkit.drill.record import Event
    from drkit.drill.values import Drill

_PODS = "pod-"
_GENERATED = re.compile(r"(-[0-9a-f]{6,10})?-[a-z0-9]{5}$|-\d+$")
"""What is added to a workload's name for its pods."""


def promotions(seen: Sequence[Sight], faults: Faults) -> list[Sight]:
    """The promotions after the first fault."""
    first = faults.first
    return [
        each
        for each in seen
        if each.what == NEW_PRIMARY
        and first is not None
        and each.at >= first
        and each.event.more.get("to") != ""
        and each.event.more.get("to", each.event.who) != each.event.more.get("from")
    ]


def rescheduled(drill: Drill, seen: Sequence[Sight], faults: Faults) -> list[Sight]:
    """The pods that took the place of those that a fault hit: when each was ready.

    Of a node that was hit: pods of the same workloads as it had, made and ready on other nodes. Of a pod that was hit:
    pods of its workload, made after it was hit. A pod that was there before, and is ready again, took no place.
    """
    first = faults.first
    if first is None:
        return []
    targets = {each.target for each in drill.injections}
    hit = {_workload(each.event) for each in seen if _about_pod(each) and {each.node, each.event.who} & targets}
    made = {_pod(each.event) for each in seen if each.what == POD_CREATED and each.at >= first}
    found: dict[str, Sight] = {}
    for each in seen:
        new = each.what == POD_READY and each.at >= first and _pod(each.event) in made
        if new and _workload(each.event) in hit and each.node not in targets:
            found.setdefault(_pod(each.event), each)
    return list(found.values())


def happened(promoted: Sequence[Sight], moved: Sequence[Sight], faults: Faults) -> list[Happened]:
    """Both, in order of time, each counted from the fault before it."""
    found = [(each.at, PROMOTED, str(each.event.more.get("to") or each.event.who)) for each in promoted]
    found += [(each.at, RESCHEDULED, each.event.who) for each in moved]
    return [
        Happened(what, who, at, round(at - sent, 6))
        for at, what, who in sorted(found)
        if (sent := faults.before(at)) is not None
    ]


def missed(drill: Drill, found: Sequence[Happened]) -> Iterator[Finding]:
    """What was to happen and did not."""
    there = {each.what for each in found}
    if PROMOTED in drill.expect and PROMOTED not in there:
        yield exceeded("no promotion was seen, and one was expected")
    if RESCHEDULED in drill.expect and RESCHEDULED not in there:
        yield exceeded("no pod that was hit was seen ready elsewhere, and that was expected")


def unwatched(seen: Sequence[Sight]) -> Iterator[Finding]:
    """What could not be watched: there something may have happened that nobody saw."""
    for who, said in sorted({(each.event.who, str(each.event.more.get("said", ""))) for each in seen if _blind(each)}):
        yield note(
            f"not all of {who} could be watched{f': {said}' if said else ''}; what happened there may be missing"
        )


def _blind(sight: Sight) -> bool:
    return sight.what == WATCH_TROUBLE


def _about_pod(sight: Sight) -> bool:
    return sight.what.startswith(_PODS)


def _pod(event: Event) -> str:
    return str(event.more.get("uid") or event.who)


def _workload(event: Event) -> str:
    """``namespace/Deployment/docfast`` where the event says it; else by how pods are named."""
    namespace, _, name = event.who.rpartition("/")
    owner = event.more.get("owner") or _GENERATED.sub("", name)
    return f"{namespace}/{owner}"
