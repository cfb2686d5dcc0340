"""The windows of every probe class for every single failure, as a table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.drill.values import DNS, HTTP, KUBE_API, SQL_READ, SQL_WRITE
from drkit.posture.paths import (
    DRAINED,
    NODE_DOWN,
    NODE_ISOLATED,
    POD_DELETED,
    POOLER,
    RW,
    TARGET_REMOVED,
    Failure,
    Prediction,
    Target,
)
from drkit.posture.predict import predict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.settings import Settings

LASTS: Final = 600.0
"""Seconds that a failure is taken to last: what ends before is not just its own end."""
_HTTPS: Final = 443


@dataclass(frozen=True)
class Row:
    """What is expected of a probe in a failure.

    Attributes:
        probe: what is asked, for people.
        failure: what fails, for people; the worst of its kind where there are several.
    """

    probe: str
    failure: str
    prediction: Prediction

    def as_json(self) -> dict[str, Any]:
        """For scripts; ``lasting`` ones are over when the failure is, which was taken to last ``LASTS`` seconds."""
        return {
            "probe": self.probe,
            "failure": self.failure,
            **self.prediction.as_json(),
            "lasting": self.prediction.lasting,
            "share": self.prediction.share,
        }


def outlook(settings: Settings) -> tuple[Row, ...]:
    """All rows: probes in their order, and for each the failures."""
    rows = []
    for probe, target in _targets(settings):
        for failure, candidates in _failures(settings, target):
            worst = max((predict(settings, target, each) for each in candidates), key=_badness)
            rows.append(Row(probe, failure, worst))
    return tuple(rows)


def _badness(found: Prediction) -> tuple[bool, float]:
    return found.lasting, found.seconds + found.error


def _targets(settings: Settings) -> Iterator[tuple[str, Target]]:
    ports = {check.port for check in settings.checks}
    port = _HTTPS if _HTTPS in ports or not ports else min(ports)
    for route in settings.routes:
        if route.host:
            yield f"http {route.host}{route.path.rstrip('/')}", Target(HTTP, workload=route.workload, port=port)
    for database in settings.databases:
        name = str(database)
        pooled = any(each.database == name for each in settings.poolers)
        for kind in (SQL_WRITE, SQL_READ):
            if pooled:
                yield f"{kind} {name}, pooler", Target(kind, database=name, route=POOLER)
            yield f"{kind} {name}, -rw", Target(kind, database=name, route=RW)
    if settings.servers:
        yield "kube-api", Target(KUBE_API, server=settings.servers[0])
    yield "dns", Target(DNS)


def _failures(settings: Settings, target: Target) -> Iterator[tuple[str, list[Failure]]]:
    """The single failures that may concern a target, each with whom it may hit."""
    primaries = [each.primary for each in settings.databases if str(each) == target.database and each.primary]
    workers = [each for each in settings.agents or settings.servers if each not in primaries]

    def on(kind: str, nodes: tuple[str, ...] | list[str]) -> list[Failure]:
        return [Failure(kind, node=each, lasts=LASTS) for each in nodes]

    kinds = [
        ("a worker is lost", on(NODE_DOWN, workers)),
        ("the primary's node is lost", on(NODE_DOWN, primaries)),
        ("a control plane is lost", on(NODE_DOWN, settings.servers)),
        ("a node is cut off from the others", on(NODE_ISOLATED, settings.agents or settings.servers)),
        ("a node is drained", on(DRAINED, settings.agents or settings.servers)),
    ]
    owner = target.workload or target.database
    if owner:
        kinds.append(("a pod is deleted", [Failure(POD_DELETED, pod_of=owner, lasts=LASTS)]))
    if target.kind == HTTP:
        balanced = sorted({node for check in settings.checks for node in check.targets})
        kinds.append(("a target is removed", on(TARGET_REMOVED, balanced)))
    yield from ((name, found) for name, found in kinds if found)
