"""A plan: what a restore will do, as a value that is made without any I/O, printed, and kept in the journal. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Step:
    """One step: what it does, after which others, and what whoever does it has to know.

    ``details`` is plain JSON and holds no secret: it stands in plans, journals and reports. ``size``, in bytes, is what
    an estimate goes by.
    """

    id: str
    action: str
    title: str
    needs: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawn:
    """A source that the restore draws on, the point it is from, how old that is in seconds, and its size in bytes."""

    source: str
    point: str
    age: int
    size: int


@dataclass(frozen=True)
class Plan:
    """What a restore will do. The same sources, target and options always give the same plan."""

    target: str
    steps: tuple[Step, ...]
    draws_on: tuple[Drawn, ...]
    warnings: tuple[str, ...] = ()
    mode: str = "databases"
    """``etcd`` or ``manifests`` where a cluster is built; else ``databases``."""

    def __post_init__(self) -> None:
        check(self.steps)

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the journal."""
        return asdict(self)


def from_json(document: Mapping[str, Any]) -> Plan:
    """The plan that a journal holds.

    Raises:
        PreflightFailed: it is none: another version of drkit wrote it.
    """
    try:
        steps = [Step(**{**each, "needs": tuple(each["needs"])}) for each in document["steps"]]
        drawn = [Drawn(**each) for each in document["draws_on"]]
        return Plan(document["target"], tuple(steps), tuple(drawn), tuple(document["warnings"]), mode=document["mode"])
    except (KeyError, TypeError, ValueError):
        raise PreflightFailed(
            "the journal of the restore that was interrupted is not understood: another version of drkit wrote it",
            "start a restore anew, without --resume",
        ) from None


def check(steps: Sequence[Step]) -> None:
    """See that the steps can be carried out.

    Raises:
        ValueError: an id stands twice, a step needs one that is not there, or steps need each other.
    """
    ids = [step.id for step in steps]
    twice = sorted({step for step in ids if ids.count(step) > 1}) if len(set(ids)) < len(ids) else []
    if twice:
        raise ValueError(f"steps with the same id: {', '.join(twice)}")
    unknown = sorted({need for step in steps for need in step.needs} - set(ids))
    if unknown:
        raise ValueError(f"steps that are needed and not there: {', '.join(unknown)}")
    circle = {step.id for step in steps} - {step.id for step in ordered(steps)}
    if circle:
        raise ValueError(f"steps that need each other: {', '.join(sorted(circle))}")


def ordered(steps: Sequence[Step]) -> list[Step]:
    """The steps, each after all that it needs; those that need each other, and what follows, are left out.

    Otherwise they keep their order.
    """
    placed: dict[str, Step] = {}
    rest = list(steps)
    while rest:
        ready = [step for step in rest if placed.keys() >= set(step.needs)]
        if not ready:
            break
        placed.update({step.id: step for step in ready})
        rest = [step for step in rest if step.id not in placed]
    return list(placed.values())
