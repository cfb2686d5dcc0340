"""An audit: rules, level and outlook of one snapshot. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drkit.clock import to_text
from drkit.posture.levels import Level, level
from drkit.posture.outlook import Row, outlook
from drkit.posture.reading import settings as read
from drkit.posture.rules import Checked, check
from drkit.posture.rules.rule import SEVERITIES
from drkit.posture.snapshot import BALANCER
from drkit.posture.whatif import what_if

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.posture.rules.rule import Finding, Rule
    from drkit.posture.settings import Check, Settings
    from drkit.posture.snapshot import Snapshot


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        cluster: its name.
        of: ``live``, or the recovery point's id.
        taken: when the cluster was as it was judged; RFC 3339, UTC.
        what_if: what was asked for instead of the settings as they are; empty where nothing was.
        checked: every rule, the most severe first.
        before: the outlook without ``what_if``; empty where nothing was asked for.
    """

    cluster: str
    of: str
    taken: str
    what_if: str
    settings: Settings
    level: Level
    checked: tuple[Checked, ...]
    outlook: tuple[Row, ...]
    before: tuple[Row, ...] = ()

    def findings(self) -> Iterator[tuple[Rule, Finding]]:
        """All of them, the most severe first."""
        for each in self.checked:
            for finding in each.findings:
                yield each.rule, finding

    def at_least(self, severity: str) -> int:
        """How many findings are of this severity or worse."""
        worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return sum(rule.severity in worst for rule, _ in self.findings())

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "cluster": self.cluster,
            "of": self.of,
            "taken": self.taken,
            "what_if": self.what_if,
            "level": self.level.as_json(),
            "findings": [{**rule.as_json(), **finding.as_json()} for rule, finding in self.findings()],
            "unchecked": [{"id": each.rule.id, "why": each.unchecked} for each in self.checked if each.unchecked],
            "predictions": [row.as_json() for row in self.outlook],
            "before": [row.as_json() for row in self.before],
            "settings": self.settings.as_json(),
        }


def audit(snapshot: Snapshot, cluster: str, of: str = "live", wished: str = "", checks: Sequence[Check] = ()) -> Audit:
    """Judge a snapshot.

    Args:
        snapshot: the cluster.
        cluster: its name.
        of: what the snapshot is of.
        wished: settings to judge it by instead of its own, as ``--what-if`` takes them.
        checks: those of load balancers that its topology does not know.

    Raises:
        UsageError: ``wished`` is not understood.
    """
    if checks:
        known = {name: why for name, why in snapshot.unknown.items() if name != BALANCER}
        snapshot = replace(snapshot, unknown=known)
    found = read(snapshot, checks)
    judged = what_if(found, wished)
    return Audit(
        cluster=cluster,
        of=of,
        taken=to_text(snapshot.taken),
        what_if=wished,
        settings=judged,
        level=level(snapshot),
        checked=check(snapshot, judged),
        outlook=outlook(judged),
        before=outlook(found) if wished else (),
    )
