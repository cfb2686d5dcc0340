"""A cluster's rebuild, as the engine carries it out: the one place where the plan's actions meet their functions."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed
from drkit.restore.machines import Machines
from drkit.restore.run import DatabaseRestore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.descriptor import SourceEntry
    from drkit.postgres.connection import Dsn
    from drkit.restore.engine.action import Action
    from drkit.restore.engine.journal import History
    from drkit.restore.engine.plan import Plan
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
    """

    plan: Plan
    config: Config
    vaults: Mapping[str, Vault]
    sources: Mapping[str, SourceEntry]
    dsns: Mapping[str, Dsn]
    old_is_dead: bool
    clock: Clock
    reporter: Reporter


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
            yield {**by_dsn, **actions(means, machines)}


def actions(means: Means, machines: Machines) -> Mapping[str, Action]:  # noqa: ARG001 - what the functions are made of
    """The functions of a cluster's own actions, by their names in ``rebuild_plan``; those by connection string apart.

    The engine refuses a plan with an action that has no function before anything is touched.
    """
    return {}


def destroy(config: Config, target: str, restore: str) -> None:  # noqa: ARG001 - where the provider's token will be
    """Remove what a restore made at its provider, and nothing else.

    Args:
        config: the configuration.
        target: whose provider.
        restore: the restore's id, which what it made carries.

    Raises:
        PreflightFailed: always; this version makes nothing at a provider.
    """
    raise PreflightFailed(
        f"this version of drkit does not make machines, so the restore {restore} to {target} left none to remove"
    )
