"""What a drill's record comes to: plain frozen values, which the judge makes and reports show. Times in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

KEPT, EXCEEDED, LOST, INVALID = "kept", "exceeded", "lost", "invalid"
EXIT_CODES = {KEPT: 0, EXCEEDED: 20, LOST: 21, INVALID: 22}
"""The worst that holds is the verdict. Lost writes are worse than an invalid run: they were seen, whatever else was."""

DETECTION, ENDPOINTS, BALANCER, PROMOTION, RESCHEDULING, RECONNECTION, OTHER = (
    "detection",
    "endpoint removal",
    "load balancer check",
    "promotion",
    "rescheduling",
    "reconnection",
    "not explained",
)
PARTS = (DETECTION, ENDPOINTS, BALANCER, PROMOTION, RESCHEDULING, RECONNECTION, OTHER)
"""What the seconds of an outage went into; ``rescheduling``: until a pod that was lost is ready on another node."""


@dataclass(frozen=True)
class Part:
    """A part of an outage, from and to (seconds since the record's begin), and what shows it."""

    name: str
    began: float
    ended: float
    why: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass(frozen=True)
class Outage:
    """A time in which a probe failed.

    Attributes:
        first_failure: when the first question that failed was to leave.
        last_failure: likewise the last one.
        first_success: likewise the first one of the successes in a row that ended it; None where nothing ended it.
        seconds: how long: from the first failure to that success, or to the last question where nothing ended it.
        error: how far off ``seconds`` may be, to either side: the time between two questions, and where those at the
            outage's edges left late, by how much.
        failed: how many questions failed or have an unknown outcome, of the ``sent`` ones between.
        flapped: how many questions succeeded before the outage had ended.
        parts: where its seconds went.
    """

    first_failure: float
    last_failure: float
    first_success: float | None
    seconds: float
    error: float
    failed: int
    sent: int
    flapped: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Series:
    """What became of one probe's questions, over new connections or over its long-lived one.

    Attributes:
        window: what it was allowed; None where it is not judged.
        longest: seconds of its longest outage; 0 where there was none.
        beyond: by how much that exceeded the window; negative or 0 where it was kept; None where it is not judged.
            Of an outage that nothing ended it is what is known, and at least ``every``.
        lateness_p99: how late its questions left, 99th percentile.
        latency_p50: from when a question was to leave to its success; median and 99th percentile.
        predicted: what the settings made us expect, and its error; None where nothing was predicted.
    """

    probe: str
    kind: str
    where: str
    session: bool
    every: float
    window: float | None
    sent: int
    failed: int
    unknown: int
    outages: tuple[Outage, ...]
    longest: float
    beyond: float | None
    lateness_p99: float
    latency_p50: float
    latency_p99: float
    predicted: float | None = None
    predicted_error: float | None = None


@dataclass(frozen=True)
class FaultSeen:
    """A fault: when it was sent, acknowledged, observed and undone (seconds since the record's begin)."""

    fault: str
    target: str
    sent: float | None
    acknowledged: float | None
    observed: float | None
    undone: float | None
    said: str = ""


@dataclass(frozen=True)
class Happened:
    """Something that was expected, or is worth telling: ``promoted`` who, when; ``rescheduled`` what, when."""

    what: str
    who: str
    at: float
    after: float
    """Seconds since the fault that came before it was sent."""


@dataclass(frozen=True)
class Ledger:
    """What became of the writes of one probe.

    Attributes:
        acknowledged: how many; likewise ``failed`` and ``unknown``.
        lost: numbers of rows that were acknowledged and are on no instance, or lack on one that has to have them.
        missing: for each instance, how many acknowledged rows it lacks.
        duplicated: numbers of rows that are there more than once.
        strangers: rows that nobody ever tried to write.
        unknown_done: of the unknown ones, how many are there.
        two_primaries: what shows that two servers acknowledged at once; empty where nothing does.
        unchecked: instances that could not be asked.
    """

    probe: str
    acknowledged: int
    failed: int
    unknown: int
    lost: tuple[int, ...] = ()
    missing: tuple[tuple[str, int], ...] = ()
    duplicated: tuple[int, ...] = ()
    strangers: int = 0
    unknown_done: int = 0
    two_primaries: str = ""
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class PatchesSeen:
    """The patches of ``drkit.yaml`` at a drill's end.

    Attributes:
        declared: how many there are.
        before: how many of them were in the cluster before the drill.
        lost: which of these are not any more, and which fields; empty where all are.
        said: why that could not be seen.
    """

    declared: int
    before: int
    lost: str = ""
    said: str = ""


@dataclass(frozen=True)
class Verdict:
    """The judge's word.

    Attributes:
        outcome: ``kept``, ``exceeded``, ``lost`` or ``invalid``.
        reasons: one sentence each; what made it worse than ``kept``.
        notes: what a reader should know besides, such as that a part of the cluster is a stand-in.
        series: in the drill's order; new connections before the long-lived one; the control probe last.
        ended: how the record ends (seconds since its begin).
        expect: what the drill expected to happen, and ``hold`` what had to hold: of the values in ``values.py``.
        patches: what became of the declared patches, where they had to be kept.
    """

    run: str
    scenario: str
    title: str
    cluster: str
    started: str
    outcome: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    faults: tuple[FaultSeen, ...]
    happened: tuple[Happened, ...]
    series: tuple[Series, ...]
    ledgers: tuple[Ledger, ...]
    ended: float
    expect: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    patches: PatchesSeen | None = None

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_CODES[self.outcome]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**asdict(self), "exit_code": self.exit_code}
