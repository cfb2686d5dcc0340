"""Troubles, from what the scheduler tells of a job and from where a cluster stands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import EXIT_CODES
from drkit.observe.notify.news import Trouble
from drkit.observe.standing.judge import NOTE
from drkit.schedule.events import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.observe.standing.judge import Standing
    from drkit.schedule.events import Event

_SHOW = "drkit schedule show"
_HINTS = {
    "backup": "drkit check; then drkit backup",
    "verify": "drkit verify; keep the vault as it is until you know why",
    "verify-deep": "drkit verify --deep",
    "prune": "drkit prune",
    "harden": "drkit harden --plan",
    "drills": "drkit drill report",
    "rehearsal": "drkit status",
}


def of_event(event: Event) -> tuple[list[Trouble], list[str]]:
    """What one piece of news of a job means: troubles, and keys of what is well."""
    failing, missed = _keys(event.job)
    if event.change is Change.MISSED:
        count = f"{event.missed} runs" if event.missed > 1 else "a run"
        text = f"{count} of the job {event.job} did not come when due"
        return [Trouble(missed, "missed", text, f"does the scheduler run? {_SHOW}")], []
    if event.change in {Change.SUCCESS, Change.RECOVERY}:
        return [], [failing, missed]
    if event.change is Change.INTERRUPTED:
        return [], []
    code = "" if event.exit_code is None else f" ({event.exit_code}: {EXIT_CODES.get(event.exit_code, 'ended')})"
    text = f"the job {event.job} failed{code}: {event.summary}"
    return [Trouble(failing, "failure", text, _HINTS.get(event.kind, _SHOW))], []


def _keys(job: str) -> tuple[str, str]:
    """As ``judge`` names them, so that one trouble is told once whoever sees it first."""
    return f"job/{job}", f"job/{job}/missed"


def of_standing(standing: Standing, told: Iterable[str]) -> tuple[list[Trouble], list[str]]:
    """What speaks against ``safe``, and which of the troubles that were told are over.

    While a vault does not answer, nothing that only it could tell is over.
    """
    troubles = [
        Trouble(each.key, "missed" if each.overdue else "failure", each.text, each.hint)
        for each in standing.findings
        if each.weight != NOTE
    ]
    still = {each.key for each in troubles}
    silent = any(not each.answers for each in standing.known.vaults)
    return troubles, [
        key
        for key in told
        if key not in still
        and (standing.known.jobs if key.startswith("job/") else not silent or key.startswith("vault"))
    ]
