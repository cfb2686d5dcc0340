"""Whether the patches that were there before a drill are there after it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.judge.finding import exceeded, invalid, note
from drkit.drill.record import PATCHES_SEEN
from drkit.drill.values import PATCHES_KEPT
from drkit.drill.verdict import PatchesSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drkit.drill.judge.finding import Finding
    from drkit.drill.record import Event
    from drkit.drill.values import Drill


def patches(events: Iterable[Event]) -> PatchesSeen | None:
    """What a record's events say of them; None where they say nothing."""
    seen = [each for each in events if each.what == PATCHES_SEEN]
    if not seen:
        return None
    more = seen[-1].more
    return PatchesSeen(
        _number(more.get("declared")),
        _number(more.get("before")),
        str(more.get("lost", "")),
        str(more.get("said", "")),
    )


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def kept(drill: Drill, seen: PatchesSeen | None) -> Iterator[Finding]:
    """What is to be said of it; nothing where nobody demanded that they are kept."""
    if PATCHES_KEPT not in drill.hold:
        return
    if seen is None or seen.said:
        why = f": {seen.said}" if seen else ""
        yield invalid(f"nothing says whether the patches were kept{why}")
    elif seen.lost:
        yield exceeded(f"patches were lost: {seen.lost}; drkit harden applies them again")
    elif not seen.declared:
        yield note("no patches are declared: whether they would be kept is not known")
    if seen is not None and seen.before < seen.declared:
        lacking = seen.declared - seen.before
        yield note(f"of {seen.declared} declared patches {lacking} were not seen before the drill: drkit harden --plan")
