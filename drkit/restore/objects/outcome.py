"""What became of the objects of a restore: values for the report, and the words for what failed. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from drkit.errors import RestoreFailed
from drkit.restore.objects.put import How

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.restore.objects.gather import Entry
    from drkit.restore.objects.put import Put

WEBHOOKS_WAIT: Final = "applied only when all other objects are there"


@dataclass(frozen=True)
class Note:
    """An object, such as ``Deployment docfast/web``, and what is to be told of it."""

    name: str
    why: str


@dataclass(frozen=True)
class Applied:
    """What became of all objects, where none failed."""

    applied: int
    equal: int
    """Were there already, as they are wished."""
    left_out: int
    """By the transform."""
    left: tuple[Note, ...]
    """The cluster keeps them itself, and they are not as they were sealed."""
    replaced: tuple[Note, ...]
    """Deleted and made anew, for these fields."""
    taken_over: tuple[Note, ...]
    """Whose fields became drkit's: the managers and their fields."""

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def of(put: Mapping[Entry, Put | None]) -> Applied:
    """What became of all; nothing stands for an object that was left out."""
    told = [(str(entry), each) for entry, each in put.items() if each is not None]

    def notes(how: How) -> tuple[Note, ...]:
        return tuple(Note(name, each.why) for name, each in told if each.how is how)

    return Applied(
        applied=sum(each.how in {How.APPLIED, How.REPLACED} for _, each in told),
        equal=sum(each.how is How.EQUAL for _, each in told),
        left_out=len(put) - len(told),
        left=notes(How.LEFT),
        replaced=notes(How.REPLACED),
        taken_over=tuple(Note(name, each.taken_over) for name, each in told if each.taken_over),
    )


def failed(failures: Mapping[Entry, str], total: int) -> RestoreFailed:
    """The error that names every object that was not taken, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for entry, why in failures.items():
        by_reason.setdefault(why, []).append(str(entry))
    lines = [f"  {', '.join(sorted(names))}: {why}" for why, names in by_reason.items()]
    return RestoreFailed(
        "\n".join([f"{len(failures)} of {total} objects were not taken by the new cluster", *lines]),
        "mend what is named, and go on with --resume: what is there by then is passed over",
    )
