"""What a drill speaks of: probes, faults and scenarios as they are resolved for one cluster. Plain frozen values.

They hold no secret: all of them go into the record.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HTTP, TCP, DNS = "http", "tcp", "dns"
SQL_READ, SQL_WRITE = "sql-read", "sql-write"
KUBE_API, CONTROL = "kube-api", "control"
PROBE_KINDS = (HTTP, TCP, SQL_READ, SQL_WRITE, KUBE_API, DNS)
"""What a scenario can ask for; every drill has a ``control`` probe of its own beside them."""

PROMOTED, RESCHEDULED = "promoted", "rescheduled"
EXPECTATIONS = (PROMOTED, RESCHEDULED)
NOTHING_LOST, ONE_PRIMARY, PATCHES_KEPT = "no acknowledged write lost", "one primary", "patches kept"
HOLDS = (NOTHING_LOST, ONE_PRIMARY, PATCHES_KEPT)


@dataclass(frozen=True)
class Probe:
    """One target that is asked again and again.

    Attributes:
        name: unique within a drill, such as ``page/docfast.example``.
        kind: one of ``PROBE_KINDS``, or ``control``.
        where: what is asked, for people: a URL, ``10.0.0.2:5432/docfast``, a DNS name.
        every: seconds from one question to the next, whatever became of the one before.
        timeout: seconds after which a question has failed.
        window: seconds that it may fail for; None where it is watched and not judged.
        session: whether one long-lived connection is asked beside the new ones.
        options: where exactly it is asked, by its kind; ``drkit.drill.choose`` says which words there are.
    """

    name: str
    kind: str
    where: str
    every: float
    timeout: float
    window: float | None
    session: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


CONTROL_PROBE = Probe("control", CONTROL, "this machine", every=0.2, timeout=1.0, window=None)
"""Every drill has it beside its own. It asks a socket of this machine: what fails here is no target's fault."""


@dataclass(frozen=True)
class Injection:
    """One fault, on whom, and for how long.

    Attributes:
        fault: its kind, such as ``power-off``: a module of ``drkit.drill.faults``.
        target: whom it hits: a node's name, or ``namespace/pod``.
        after: seconds from the injection of the one before (from the end of the steady state for the first).
        lasts: seconds after which it is undone.
        options: what its kind takes more, such as ``{"delay_ms": 200}``.
    """

    fault: str
    target: str
    after: float
    lasts: float
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drill:
    """A scenario, resolved for one cluster: what is in a record's first entry.

    Attributes:
        scenario: its name: that of its file, without ``.yaml``.
        steady_seconds: how long every probe has to succeed before the first fault.
        needed: successes in a row that end an outage.
        settle_seconds: how long, after the last undo, the cluster may take until it is whole again.
        expect: of ``EXPECTATIONS``.
        hold: of ``HOLDS``.
        during: what runs while the faults are there: ``backup``, or nothing.
        lab_only: whether no real cluster may ever take it.
    """

    scenario: str
    title: str
    steady_seconds: float
    probes: tuple[Probe, ...]
    injections: tuple[Injection, ...]
    needed: int
    settle_seconds: float
    expect: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    during: str = ""
    lab_only: bool = False

    def as_json(self) -> dict[str, Any]:
        """As the record has it; ``from_json`` is the inverse."""
        return asdict(self)


def from_json(data: Mapping[str, Any]) -> Drill:
    """The inverse of ``Drill.as_json``.

    Raises:
        ValueError: it is none.
    """
    try:
        return Drill(
            **{
                **data,
                "probes": tuple(Probe(**each) for each in data["probes"]),
                "injections": tuple(Injection(**each) for each in data["injections"]),
                "expect": tuple(data["expect"]),
                "hold": tuple(data["hold"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no drill: {error}") from None
