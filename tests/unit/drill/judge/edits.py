"""Changes to a record, entry by entry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from drkit.drill.judge.judge import judge
from drkit.drill.record import FAILED, OK, Asked, Entry
from drkit.drill.values import CONTROL, HTTP
from tests.unit.drill.records import Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from drkit.drill.verdict import Verdict

E = TypeVar("E", bound=Entry)
PAGE = "page"


def story(out: float = 5.0, *, window: float | None = 15.0, every: float = 0.5) -> Story:
    """A page that is out for so long, from the fault on."""
    return Story(lasts=20, after=10).probe(PAGE, HTTP, every=every, window=window, out=[(0.0, out)] if out else [])


def changed(entries: Iterable[Entry], kind: type[E], change: Callable[[E], Entry | None]) -> list[Entry]:
    """The entries, with those of a kind changed, or left out."""
    found = [change(each) if isinstance(each, kind) else each for each in entries]
    return [each for each in found if each is not None]


def asked(entries: Iterable[Entry], change: Callable[[Asked], Entry | None], probe: str = PAGE) -> list[Entry]:
    """The same, for a probe's questions."""
    return changed(entries, Asked, lambda each: change(each) if each.probe == probe else each)


def failing(entries: Iterable[Entry], *numbers: int, probe: str = PAGE, said: str = "refused") -> list[Entry]:
    """With these questions failed at once."""
    return asked(
        entries,
        lambda each: replace(each, outcome=FAILED, said=said) if each.number in numbers else each,
        probe,
    )


def late(entries: Iterable[Entry], seconds: float, *numbers: int, probe: str = PAGE) -> list[Entry]:
    """With these questions sent so late (none named: all), and answered as much later."""
    return asked(
        entries,
        lambda each: (
            replace(each, sent=each.due + seconds, at=each.at + seconds)
            if not numbers or each.number in numbers
            else each
        ),
        probe,
    )


def told(verdict: Verdict, text: str) -> bool:
    """Whether one of the reasons says that."""
    return any(text in each for each in verdict.reasons)


def noted(verdict: Verdict, text: str) -> bool:
    """Whether one of the notes says that."""
    return any(text in each for each in verdict.notes)


__all__ = ["CONTROL", "OK", "PAGE", "asked", "changed", "failing", "judge", "late", "noted", "story", "told"]
