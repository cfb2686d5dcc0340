"""What is news: one message for a trouble, a reminder a day while it lasts, one when it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from drkit.clock import from_text, to_text
from drkit.masking import mask
from drkit.observe.text import age, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

Occasion = Literal["failure", "recovery", "missed"]
_MOST_LINES = 10
_LONGEST_LINE = 300


@dataclass(frozen=True)
class Trouble:
    """Something that is not well, or did not come.

    Attributes:
        key: names it for good: the same trouble has the same key the next time.
        text: one sentence.
        hint: what to do next.
    """

    key: str
    occasion: Literal["failure", "missed"]
    text: str
    hint: str


@dataclass(frozen=True)
class Told:
    """A trouble that people know of: what they were told, when first and when last (RFC 3339, UTC)."""

    text: str
    since: str
    at: str


Memory = dict[str, Told]
"""What people know of, by key."""


@dataclass(frozen=True)
class News:
    """What they are told now."""

    new: tuple[Trouble, ...] = ()
    still: tuple[Trouble, ...] = ()
    over: Mapping[str, Told] = field(default_factory=dict)
    quietly: frozenset[str] = frozenset()
    """Keys of what is over and nobody wants to hear of."""

    def __bool__(self) -> bool:
        return bool(self.new or self.still or self.over)


@dataclass(frozen=True)
class Message:
    """One message. ``kind`` is the worst that it tells of: ``failure``, ``missed`` or ``recovery``."""

    kind: Occasion
    title: str
    body: str


def news(
    memory: Memory,
    troubles: Iterable[Trouble],
    well: Collection[str],
    now: datetime,
    wanted: Collection[Occasion],
    remind: float,
) -> News:
    """What of all this is news.

    Args:
        memory: what people know of.
        troubles: what is not well now.
        well: keys of what is.
        now: the time.
        wanted: what people want to hear of.
        remind: seconds until they are told once more of what they know.
    """
    new, still = [], []
    for trouble in {each.key: each for each in troubles}.values():
        if trouble.occasion not in wanted:
            continue
        told = memory.get(trouble.key)
        if told is None:
            new.append(trouble)
        elif _since(told.at, now) >= remind:
            still.append(trouble)
    over = {key: memory[key] for key in well if key in memory}
    if "recovery" not in wanted:
        return News(tuple(new), tuple(still), {}, frozenset(over))
    return News(tuple(new), tuple(still), over)


def _since(moment: str, now: datetime) -> float:
    """Seconds since; what is no time, or lies ahead because the clock was set, was long ago: better told twice."""
    try:
        seconds = (now - from_text(moment)).total_seconds()
    except ValueError:
        return float("inf")
    return seconds if seconds >= 0 else float("inf")


def remembered(memory: Memory, told: News, now: datetime) -> Memory:
    """What people know of after they were told."""
    at = to_text(now)
    after = {key: value for key, value in memory.items() if key not in told.over and key not in told.quietly}
    for each in (*told.new, *told.still):
        after[each.key] = Told(short(each.text), memory[each.key].since if each.key in memory else at, at)
    return after


def message(cluster: str, told: News, memory: Memory, now: datetime) -> Message:
    """The message: short, without secrets, with what to do next.

    Args:
        cluster: its name.
        told: what is told; something is.
        memory: what people knew before.
        now: the time.
    """
    troubles = (*told.new, *told.still)
    kind: Occasion = "recovery"
    if troubles:
        kind = "failure" if any(each.occasion == "failure" for each in troubles) else "missed"
    lines = [_trouble(each) for each in told.new]
    lines += [f"{_trouble(each)} (for {_lasted(memory[each.key], now)})" for each in told.still]
    lines += [f"over after {_lasted(each, now)}: {each.text}" for each in told.over.values()]
    hints = [f"next: {hint}" for hint in dict.fromkeys(each.hint for each in troubles if each.hint)]
    body = "\n".join([*_some(lines), *_some(hints)])
    return Message(kind, short(f"{cluster}: {_title(troubles, told)}"), mask(body))


def _title(troubles: Sequence[Trouble], told: News) -> str:
    if not troubles:
        one = next(iter(told.over.values()))
        return f"well again: {one.text}" if len(told.over) == 1 else f"{len(told.over)} troubles are over"
    return troubles[0].text if len(troubles) == 1 else f"{len(troubles)} troubles: {troubles[0].text}"


def _trouble(each: Trouble) -> str:
    return f"did not come: {each.text}" if each.occasion == "missed" else each.text


def _lasted(told: Told, now: datetime) -> str:
    seconds = _since(told.since, now)
    return "an unknown time" if seconds == float("inf") else age(seconds)


def _some(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _MOST_LINES} more: drkit status"] if len(lines) > _MOST_LINES else []
    return [short(each) for each in lines[:_MOST_LINES]] + more


def short(text: str) -> str:
    """A text from anywhere as one line: without secrets, without control characters, and no longer than people read."""
    # Masked before it is cut: half a secret would not be recognised.
    line = printable(" ".join(mask(text).split()))
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"
