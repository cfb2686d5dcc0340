"""What became of the declared patches, for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.manifests.diff import ADDED
from drkit.observe.text import printable
from drkit.posture.drift import APPLIED, CONFLICT, DRIFTED, FORBIDDEN, KEPT, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.manifests.diff import FieldChange
    from drkit.posture.drift import Found

_SAID: Final = {
    KEPT: "as declared",
    DRIFTED: "to be applied",
    APPLIED: "applied",
    CONFLICT: "left: others have set it otherwise; take_over: true makes it drkit's",
    REFUSED: "refused",
    FORBIDDEN: "this account may not try it",
}


def lines(found: Sequence[Found]) -> Iterator[str]:
    """One for each patch, and under it what differs and why."""
    if not found:
        yield "no patches are declared: patches in drkit.yaml"
    for each in found:
        yield printable(f"{each.what}: {_SAID[each.state]}")
        yield from (f"    {printable(said)}" for said in _more(each))


def _more(found: Found) -> Iterator[str]:
    if found.why:
        yield found.why
    if found.owners:
        yield f"set by {found.owners}"
    if found.change is not None and found.change.change == ADDED:
        yield "it is not there" if found.state != APPLIED else "it was made"
    yield from (_field(each) for each in (found.change.fields if found.change else ()))
    if found.note:
        yield f"note: {found.note}"


def _field(change: FieldChange) -> str:
    return f"{change.path}: {change.before or 'nothing'} -> {change.after or 'nothing'}"
