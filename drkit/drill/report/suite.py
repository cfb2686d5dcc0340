"""What several drills come to together: the worst of them is the total. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.drill.report import words
from drkit.drill.verdict import EXIT_CODES, INVALID
from drkit.observe.text import columns, duration, printable

if TYPE_CHECKING:
    from drkit.drill.verdict import Verdict


@dataclass(frozen=True)
class Unrun:
    """A scenario of a suite that came to no verdict, as one whose preflight was refused: it proves nothing.

    Attributes:
        scenario: its name.
        why: what was said.
    """

    scenario: str
    why: str


@dataclass(frozen=True)
class Total:
    """A suite.

    Attributes:
        name: as it was asked for.
        verdicts: in the order of the drills.
        unrun: the scenarios that came to none.
    """

    name: str
    verdicts: tuple[Verdict, ...]
    unrun: tuple[Unrun, ...] = ()

    @property
    def outcome(self) -> str:
        """The worst; a suite without any drill is invalid."""
        found = [each.outcome for each in self.verdicts] + [INVALID] * len(self.unrun)
        return max(found, key=words.OUTCOMES.index, default=INVALID)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_CODES[self.outcome]

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "suite": self.name,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "verdicts": [each.as_json() for each in self.verdicts],
            "unrun": [asdict(each) for each in self.unrun],
        }


def text(total: Total) -> list[str]:
    """The lines that a suite ends with: the total first."""
    rows = [
        [printable(each.scenario), each.outcome, duration(each.ended), words.verdict(each).partition(": ")[2]]
        for each in total.verdicts
    ]
    rows += [[printable(each.scenario), "not run", words.NOTHING, printable(each.why)] for each in total.unrun]
    return [_headline(total), "", *columns(("SCENARIO", "VERDICT", "TOOK", "WHY"), rows)]


def _headline(total: Total) -> str:
    counts = [
        (outcome, sum(each.outcome == outcome for each in total.verdicts)) for outcome in reversed(words.OUTCOMES)
    ]
    said = [f"{count} {outcome}" for outcome, count in [*counts, ("not run", len(total.unrun))] if count]
    drills = len(total.verdicts) + len(total.unrun)
    shown = f"{drills} {'drill' if drills == 1 else 'drills'}"
    return printable(f"{total.outcome}: suite {total.name}, {shown}{': ' if said else ''}{', '.join(said)}")
