"""The audit's rules: small pure functions over a snapshot of a cluster, one family a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drkit.posture.rules import (
    backups,
    balancer,
    budgets,
    certificates,
    control_plane,
    etcd,
    network,
    patches,
    placement,
    postgres,
    replicas,
    secrets,
    storage,
    timing,
)
from drkit.posture.rules.rule import SEVERITIES, Finding, Rule, Seen

if TYPE_CHECKING:
    from drkit.posture.settings import Settings
    from drkit.posture.snapshot import Snapshot

RULES: Final[tuple[Rule, ...]] = (
    *control_plane.RULES,
    *etcd.RULES,
    *replicas.RULES,
    *placement.RULES,
    *timing.RULES,
    *budgets.RULES,
    *patches.RULES,
    *balancer.RULES,
    *postgres.RULES,
    *storage.RULES,
    *network.RULES,
    *certificates.RULES,
    *secrets.RULES,
    *backups.RULES,
)
"""All of them, in the order in which they are listed."""


@dataclass(frozen=True)
class Checked:
    """What became of a rule: its findings, or why it was not checked."""

    rule: Rule
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""


def check(snapshot: Snapshot, settings: Settings) -> tuple[Checked, ...]:
    """Check all rules, the most severe ones first; within a severity in the order of ``RULES``.

    A rule that needs what is not known is not checked: the absence of a finding would look like an all-clear.
    """
    seen = Seen(snapshot, settings)
    found = []
    for rule in RULES:
        unknown = [snapshot.unknown[each] for each in rule.needs if each in snapshot.unknown]
        if unknown:
            found.append(Checked(rule, unchecked="; ".join(unknown)))
        else:
            found.append(Checked(rule, tuple(rule.check(seen))))
    return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.rule.severity)))
