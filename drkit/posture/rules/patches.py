"""Declared patches that the cluster has lost. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from drkit.manifests.diff import ADDED
from drkit.posture.drift import CONFLICT, REFUSED, drifted
from drkit.posture.rules.rule import HIGH, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import PATCHES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.drift import Found

_RUNBOOK: Final = page("patches")
_SHOWN: Final = 3


def _drifted(seen: Seen) -> Iterator[Finding]:
    for each in drifted(seen.snapshot.patches):
        if each.state != REFUSED:
            how = "apply them: drkit harden; drkit harden --plan shows each field"
            if each.state == CONFLICT:
                how = f"{each.owners}: see who that is, then declare take_over: true in patches[{each.number}]"
            yield Finding(each.what, _lost(each), Fix(how))


def _lost(found: Found) -> str:
    if found.change is not None and found.change.change == ADDED:
        return "it is declared, and not there"
    more = len(found.fields) - _SHOWN
    listed = ", ".join(found.fields[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"it is not as declared: {listed}"


def _refused(seen: Seen) -> Iterator[Finding]:
    for each in drifted(seen.snapshot.patches):
        if each.state == REFUSED:
            yield Finding(
                each.what,
                f"patches[{each.number}] cannot be applied: {each.why}",
                Fix(f"correct patches[{each.number}] in drkit.yaml, then: drkit harden --plan"),
            )


RULES: Final = (
    Rule("patches-drifted", HIGH, "A declared patch was lost", _RUNBOOK, _drifted, (PATCHES,)),
    Rule("patches-refused", MEDIUM, "A declared patch cannot be applied", _RUNBOOK, _refused, (PATCHES,)),
)
