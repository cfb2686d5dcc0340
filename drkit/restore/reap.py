"""The reaper: what rehearsals made and has outlived its time is removed, on each kind of target."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from drkit.config.model import Server
from drkit.providers import find
from drkit.restore.cluster_work import to_standing
from drkit.restore.engine import journal
from drkit.restore.engine.run import hold
from drkit.restore.machines import way
from drkit.restore.new_cluster import connected
from drkit.restore.rehearsal import reap_namespaces
from drkit.restore.wanted import SSH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.providers.port import Provider, Thing


def reap(config: Config, target: str, now: datetime, reporter: Reporter) -> tuple[Thing, ...]:
    """Remove from a target all that rehearsals made there and that has outlived its time; nothing else.

    It can be cut off and called again. What is reaped cannot be resumed any more.

    Args:
        config: the configuration.
        target: one of its clusters.
        now: the time.
        reporter: told what takes long.

    Raises:
        TargetNotEmpty: a restore is at work on the target.
        ProviderFailed: the provider refuses, or does not answer; likewise the cluster's API with errors of its own.
    """
    chosen = config.clusters[target]
    with hold(target), ExitStack() as stack:
        if chosen.provider not in {None, SSH}:
            provider = find.provider(config, target, reporter)
            return tuple(reap_restores(provider, now))
        if not any(isinstance(each, Server) and each.address for each in chosen.servers):
            return ()  # databases alone: nothing is made there but what they are
        ssh = way(chosen.ssh, config.cluster.ssh, makes=False)
        api, _ = connected(to_standing(config, target, ssh, stack), stack)
        return tuple(reap_namespaces(api, now))


def reap_restores(provider: Provider, now: datetime) -> Iterator[Thing]:
    """Remove from a provider what rehearsals made, whichever machine began them, and nothing else."""
    for restore in provider.outlived(now):
        begun = journal.of(restore)
        if begun is not None:
            begun.write(status=journal.DESTROYED)
        yield from provider.destroy(restore)
