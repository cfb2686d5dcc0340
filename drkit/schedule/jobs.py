"""The jobs that a configuration asks for, and the command that each of them is. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drkit.schedule.timing import Times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.config.model import Config
    from drkit.config.schedule import Job as Wanted

BACKUP, VERIFY, VERIFY_DEEP, PRUNE, HARDEN, DRILLS, REHEARSAL = KINDS = (
    "backup",
    "verify",
    "verify-deep",
    "prune",
    "harden",
    "drills",
    "rehearsal",
)


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        name: unique; ``backup/databases``, else its kind.
        kind: one of ``KINDS``.
        times: when.
        limit: seconds that a run may take.
        arguments: the command, without ``drkit`` itself.
        vaults: those that it uses; jobs that share one wait for each other.
    """

    name: str
    kind: str
    times: Times
    limit: float
    arguments: tuple[str, ...]
    vaults: frozenset[str]

    @property
    def tried_again(self) -> bool:
        """Whether a vault that could not be reached, or was locked, is a reason to come back before the next time."""
        return self.kind in (BACKUP, VERIFY, VERIFY_DEEP, PRUNE)


def jobs(config: Config, file: Path) -> tuple[Job, ...]:
    """All jobs: a backup for each vault with a ``schedule``, then those of the key ``schedule``.

    Args:
        config: what was read from ``file``.
        file: each command is given it; absolute, for it may run elsewhere.
    """
    return tuple(_backups(config, file)) + tuple(_others(config, file))


def one(config: Config, file: Path, name: str) -> Job | None:
    """The job of that name; ``backup`` is everything as one recovery point, at the time of the vault ``cluster``."""
    if name == BACKUP:
        whole = next((each for each in _backups(config, file) if each.name == f"{BACKUP}/cluster"), None)
        every = frozenset(map(str, config.vaults))
        return whole and replace(whole, name=BACKUP, arguments=(BACKUP, *_common(file)), vaults=every)
    return next((each for each in jobs(config, file) if each.name == name), None)


def _backups(config: Config, file: Path) -> Iterator[Job]:
    every = config.schedule
    for vault, settings in config.vaults.items():
        if settings.schedule is not None:
            times = Times(settings.schedule, every.time_zone)
            arguments = ("backup", vault, *_common(file))
            uses = frozenset(config.vaults_of(vault))
            yield Job(f"{BACKUP}/{vault}", BACKUP, times, every.limit, arguments, uses)


def _others(config: Config, file: Path) -> Iterator[Job]:
    every, vaults = config.schedule, frozenset(map(str, config.vaults))

    def made(kind: str, wanted: Wanted, uses: frozenset[str], *arguments: str) -> Job:
        return Job(kind, kind, Times(wanted.cron, every.time_zone), wanted.limit or every.limit, arguments, uses)

    common = _common(file)
    if every.prune is not None:
        yield made(PRUNE, every.prune, vaults, "prune", *common)
    if every.verify is not None:
        yield made(VERIFY, every.verify, vaults, "verify", *common)
    if every.verify_deep is not None:
        yield made(VERIFY_DEEP, every.verify_deep, vaults, "verify", "--deep", *common)
    if every.harden is not None and config.patches:
        # It needs no vault; but a drill has the cluster while it runs, and uses all of them.
        plan = ("--plan",) if every.harden.plan else ()
        yield made(HARDEN, every.harden, vaults, "harden", *plan, *common)
    if every.drills is not None:
        # Drills hurt the cluster that is backed up: nothing runs beside them.
        yield made(DRILLS, every.drills, vaults, "drill", "run", "--suite", every.drills.suite, *common)
    if every.rehearsal is not None:
        # In a lab, with the lab's own vaults.
        arguments = ("lab", "rehearse", "--mode", every.rehearsal.mode, "--json")
        yield made(REHEARSAL, every.rehearsal, frozenset(), *arguments)


def _common(file: Path) -> tuple[str, ...]:
    return ("--config", str(file), "--json")
