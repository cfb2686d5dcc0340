"""Backups: how old, how proven, and what they share their fate with. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from drkit.posture.rules.rule import CRITICAL, HIGH, LOW, MEDIUM, Finding, Fix, Rule, Seen, page
from drkit.posture.snapshot import BACKUPS, DRILLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.posture.snapshot import Backups

_RUNBOOK: Final = page("backups")
_WEEK: Final = timedelta(days=7)
_HOUR: Final = 3600


def _known(seen: Seen) -> Iterator[Backups]:
    if seen.snapshot.backups is not None:
        yield seen.snapshot.backups


def _none(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        if all(each.age is None for each in backups.sources):
            yield Finding(
                "backups", "there is none", Fix("make one: drkit backup; then set vaults.*.schedule"), data="all"
            )


def _old(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        for each in backups.sources:
            if each.age is not None and each.age > each.limit:
                yield Finding(
                    f"source {each.source}",
                    f"its newest whole backup is {each.age / _HOUR:.0f} h old; the limit is {each.limit / _HOUR:.0f} h",
                    Fix("see why: drkit status, then drkit backup"),
                    data=f"the last {each.age / _HOUR:.0f} hours",
                )


def _lacking(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        lacking = [each for each in backups.sources if each.age is None]
        if len(lacking) < len(backups.sources):
            for each in lacking:
                yield Finding(
                    f"source {each.source}",
                    "it was never backed up whole",
                    Fix("see why: drkit backup"),
                    data="all of it",
                )
        if not backups.complete and not lacking:
            yield Finding(
                "backups", "the newest recovery point is incomplete", Fix("see what failed: drkit points show latest")
            )


def _unverified(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        if all(each.age is None for each in backups.sources):
            continue  # there is nothing to be read
        if backups.verified is None or seen.snapshot.taken - backups.verified > _WEEK:
            last = "never" if backups.verified is None else f"last on {backups.verified:%Y-%m-%d}"
            yield Finding(
                "backups",
                f"a point was {last} read back whole: a disk of the vault may have gone bad since",
                Fix("read the newest one back, and do so every week: drkit verify latest"),
            )


def _unproven(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        found = [each for each in backups.sources if each.source.startswith("database/") and each.age is not None]
        for each in found:
            if each.proven is None:
                yield Finding(
                    f"source {each.source}",
                    "it was never proven by a restore",
                    Fix("restore it into scratch, and do so every night: drkit verify --deep"),
                )


def _escrow(seen: Seen) -> Iterator[Finding]:
    for backups in _known(seen):
        if not backups.escrow:
            yield Finding(
                "keys",
                "nobody but this machine can open the backups: with its disk they are lost",
                Fix(
                    "name who shall be able to, and export the bundle to where they keep it",
                    {"escrow": {"recipients": ["age1…"]}},
                    "drkit",
                ),
                data="every backup",
            )


def _one_place(seen: Seen) -> Iterator[Finding]:
    """Whether all copies, and the cluster itself, are at one provider."""
    provider = "hetzner" if seen.snapshot.hetzner("servers") else ""
    for backups in _known(seen):
        if provider and backups.places and set(backups.places) == {provider}:
            yield Finding(
                "backups",
                "the cluster and all copies of it are at Hetzner: one account that is locked takes both",
                Fix("add a vault at another provider, or at home"),
                data="all, where the account is lost",
            )


def _off(seen: Seen) -> Iterator[Finding]:
    for each in seen.snapshot.drills:
        off = abs(each.measured - each.predicted)
        allowed = each.predicted_error + each.measured_error
        if off > allowed:
            yield Finding(
                f"drill {each.run}, {each.probe}",
                f"{each.predicted:.1f} ± {each.predicted_error:.1f} s were predicted, and {each.measured:.1f} ± "
                f"{each.measured_error:.1f} s measured",
                Fix("see where its seconds went: drkit drill report; a setting is not what it seems"),
            )


RULES: Final = (
    Rule("no-backup", CRITICAL, "There is no backup", _RUNBOOK, _none, (BACKUPS,)),
    Rule("backup-old", HIGH, "A backup is old", _RUNBOOK, _old, (BACKUPS,)),
    Rule("backup-lacking", HIGH, "The backup lacks something", _RUNBOOK, _lacking, (BACKUPS,)),
    Rule("backup-unverified", MEDIUM, "Backups are not verified", _RUNBOOK, _unverified, (BACKUPS,)),
    Rule("backup-unproven", MEDIUM, "A database was never restored from its backup", _RUNBOOK, _unproven, (BACKUPS,)),
    Rule("no-escrow", HIGH, "Nobody else can open the backups", _RUNBOOK, _escrow, (BACKUPS,)),
    Rule("one-provider", MEDIUM, "All copies are at one provider", _RUNBOOK, _one_place, (BACKUPS,)),
    Rule("prediction-off", LOW, "A drill took another time than predicted", page("timing"), _off, (DRILLS,)),
)
