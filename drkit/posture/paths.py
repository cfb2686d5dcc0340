"""What predictions are made of: whom a probe asks, what fails, and the ways on which its questions go lost. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from drkit.drill.verdict import BALANCER, OTHER
from drkit.posture.span import NOTHING, Span, longer

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE_DOWN, NODE_ISOLATED, DRAINED = "node-down", "node-isolated", "drained"
POD_DELETED, TARGET_REMOVED = "pod-deleted", "target-removed"
FAILURES: Final = (NODE_DOWN, NODE_ISOLATED, DRAINED, POD_DELETED, TARGET_REMOVED)

POOLER, RW, RO, R = "pooler", "rw", "ro", "r"


@dataclass(frozen=True)
class Target:
    """Whom a probe asks.

    Attributes:
        kind: the probe's, of ``drkit.drill.values.PROBE_KINDS``.
        workload: of http and tcp: ``namespace/name`` of what answers; empty where that is not known.
        port: likewise: the load balancer's port; 0 where none is in the way.
        database: of sql: ``namespace/name`` of the cluster of PostgreSQL.
        route: likewise: ``pooler``, or a service: ``rw``, ``ro``, ``r``.
        server: of kube-api: the node whose server is asked.
    """

    kind: str
    workload: str = ""
    port: int = 0
    database: str = ""
    route: str = RW
    server: str = ""


@dataclass(frozen=True)
class Failure:
    """What fails.

    Attributes:
        kind: of ``FAILURES``.
        node: whom it hits, where that is a node.
        pod_of: ``namespace/name`` of the workload or cluster of PostgreSQL whose pod is deleted; of a cluster, the
            primary.
        lasts: seconds until it is undone.
    """

    kind: str
    node: str = ""
    pod_of: str = ""
    lasts: float = 60.0


@dataclass(frozen=True)
class Prediction:
    """How long a probe would fail.

    Attributes:
        seconds: the middle of what is expected; 0 where nothing is.
        error: how far off that may be, to either side.
        parts: what the seconds go into, by the names of ``drkit.drill.verdict.PARTS``; together they are ``seconds``.
        lasting: whether nothing ends it but the undo of what failed.
        share: which part of the questions fails meanwhile, where it is known; 1 where all do.
    """

    seconds: float
    error: float
    parts: tuple[tuple[str, float], ...] = ()
    lasting: bool = False
    share: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """As records of drills have it."""
        return {"seconds": self.seconds, "error": self.error, "parts": [list(part) for part in self.parts]}


@dataclass(frozen=True)
class Path:
    """One way on which questions go lost: the steps until they do not, one after the other, and the share on it."""

    steps: tuple[tuple[str, Span], ...]
    share: float = 1.0
    lasting: bool = False

    @property
    def total(self) -> Span:
        """How long it takes."""
        return sum((span for _, span in self.steps), NOTHING)


def until_undone(lasts: float, after: Span = NOTHING, share: float = 1.0) -> Path:
    """A way that nothing ends but the undo, and what comes after it."""
    return Path(((OTHER, Span(lasts, lasts) + after),), share, lasting=True)


def predicted(paths: Sequence[Path]) -> Prediction:
    """What ways that are lost at the same time come to: the longest counts.

    Its parts are those of the longest way; where that is the load balancer's, what it takes longer than the longest
    other one, for meanwhile the other was in force as well.
    """
    if not paths:
        return Prediction(0.0, 0.0)
    whole = reduce(longer, (path.total for path in paths))
    others = [path for path in paths if path.steps[-1][0] != BALANCER] or list(paths)
    main = max(others, key=lambda path: path.total.middle)
    parts = [(name, span.middle) for name, span in main.steps]
    rest = whole.middle - main.total.middle
    if rest > 0:
        balanced = any(path.steps[-1][0] == BALANCER and path.total.high > main.total.high for path in paths)
        parts = _with(parts, BALANCER if balanced else parts[-1][0], rest)
    rounded = tuple((name, round(seconds, 3)) for name, seconds in parts if round(seconds, 3) > 0)
    succeeding = 1.0
    for path in paths:
        succeeding *= 1 - path.share
    return Prediction(
        seconds=round(sum(seconds for _, seconds in rounded), 3),
        error=round(whole.error, 3),
        parts=rounded,
        lasting=any(path.lasting for path in paths),
        share=round(1 - succeeding, 3),
    )


def _with(parts: list[tuple[str, float]], name: str, seconds: float) -> list[tuple[str, float]]:
    if any(known == name for known, _ in parts):
        return [(known, spent + seconds if known == name else spent) for known, spent in parts]
    return [*parts, (name, seconds)]
