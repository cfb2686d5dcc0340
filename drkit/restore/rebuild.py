"""A cluster's rebuild, as the engine carries it out: the one place where the plan's actions meet their functions."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.providers import find
from drkit.restore import rebuild_plan
from drkit.restore.cluster_work import working
from drkit.restore.engine import journal
from drkit.restore.engine.run import hold
from drkit.restore.ground import ground
from drkit.restore.leading import Leading
from drkit.restore.machines import Machines
from drkit.restore.making import Making
from drkit.restore.run import DatabaseRestore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn
    from drkit.providers.port import Thing
    from drkit.restore.engine.action import Action
    from drkit.restore.engine.journal import History
    from drkit.restore.engine.plan import Plan
    from drkit.restore.ground import Ground
    from drkit.vault.port import Vault


@dataclass(frozen=True)
class Means:
    """What the functions are made of.

    Attributes:
        plan: what is carried out; a step's details say what concerns it alone.
        config: the configuration; the target is ``config.clusters[plan.target]``.
        vaults: by name.
        sources: those that the plan draws on, with their details, by name.
        dsns: the target's databases that are reached by connection strings, by name.
        old_is_dead: the user vouches for it, now or when the plan was made.
        clock: the time.
        reporter: told what is not one step's alone.
        accept_incomplete: the user does without what cannot be had, such as images.
    """

    plan: Plan
    config: Config
    vaults: Mapping[str, Vault]
    sources: Mapping[str, SourceEntry]
    dsns: Mapping[str, Dsn]
    old_is_dead: bool
    clock: Clock
    reporter: Reporter
    accept_incomplete: bool = False


class Rebuild:
    """The rebuild of a cluster; see ``drkit.restore.engine.action.Work``."""

    def __init__(self, means: Means) -> None:
        self._means = means

    @contextmanager
    def prepared(self, restore: str, history: History) -> Iterator[Mapping[str, Action]]:
        """Preflight, and a function for each action that this version can carry out.

        Raises:
            TargetNotEmpty: nothing was touched.
            PreflightFailed: nothing was touched.
        """
        means = self._means
        own = DatabaseRestore(means.config, means.vaults, means.plan, means.sources, means.dsns)
        with own.prepared(restore, history) as by_dsn, Machines(means.plan, means.config) as machines:
            leading = _for_machines(ground(means, machines, restore), restore, history) if machines.steps else {}
            with working(means, machines, resumed=bool(history.records)) as of_the_cluster:
                yield {**by_dsn, **leading, **of_the_cluster}


def _for_machines(shared: Ground, restore: str, history: History) -> Mapping[str, Action]:
    """The functions of what concerns machines and traffic, after a look at both that changes nothing."""
    making, leading = Making(shared), Leading(shared)
    vouched = shared.means.old_is_dead or history.steps.get(rebuild_plan.FENCE) == journal.DONE
    making.preflight(restore, vouched=vouched)
    return {**making.actions(), **leading.actions()}


def destroy(config: Config, journal_of: journal.Journal, target: str, reporter: Reporter) -> tuple[Thing, ...]:
    """Remove what a restore made at its provider, and nothing else; what it changed of other things is put back.

    It can be cut off and called again. From its beginning the restore cannot be resumed any more.

    Args:
        config: the configuration.
        journal_of: the restore's journal.
        target: whose provider.
        reporter: told what takes long.

    Raises:
        TargetNotEmpty: a restore is at work on the target.
        ProviderFailed: the provider refuses, or does not answer.
    """
    with hold(target):
        journal_of.write(status=journal.DESTROYED)
        return find.provider(config, target, reporter).destroy(journal_of.restore)
