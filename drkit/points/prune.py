"""Carries retention out: whole parts of points go, descriptor first, and then the room is freed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.backup.leftovers import debris
from drkit.errors import NoRepository
from drkit.points import catalogue as catalogues
from drkit.points import names, retention
from drkit.vault.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.signing import Verifier
    from drkit.vault.port import Archive, Vault


@dataclass(frozen=True)
class Pruned:
    """What retention means for one vault: the points kept, with the reason, and those removed."""

    vault: str
    kept: dict[str, str]
    removed: list[str]


def prune(
    config: Config,
    vaults: Mapping[str, Vault],
    verifier: Verifier,
    clock: Clock,
    reporter: Reporter,
    *,
    carry_out: bool,
) -> list[Pruned]:
    """Apply each vault's retention to its parts of the points.

    Points that cannot be read or trusted are left alone: what is not understood is not deleted.

    Raises:
        DrkitError: a vault does not answer; a point might have its only whole copy there, so nothing is removed.
        NoRepository: one is gone; the others were thinned out.
    """
    catalogue = catalogues.read(config.cluster.name, vaults, verifier)
    for problem in catalogue.problems:
        raise problem
    results = []
    gone: NoRepository | None = None
    for name, vault in vaults.items():
        here = [point for point in catalogue.points if name in point.vaults]
        kept = retention.keep(here, config.vaults[name].keep, name)
        removed = [point.id for point in here if point.id not in kept]
        if carry_out:
            try:
                with hold(vault, "drkit prune", config.vaults[name].lock_wait, reporter):
                    _remove(names.slug(config.cluster.name), vault, removed, clock, reporter)
            except NoRepository as error:  # what is in the others goes by their own rules all the same
                gone = gone or error
        results.append(Pruned(name, kept, removed))
    if gone is not None:
        raise gone
    return results


def _remove(cluster: str, vault: Vault, points: Iterable[str], clock: Clock, reporter: Reporter) -> None:
    archives = vault.archives()
    going = in_order(cluster, archives, points) + debris(cluster, archives, (), clock.now())
    if going:
        with reporter.task(f"vault {vault.name}: removing {len(going)} archives"):
            vault.delete(going)
    with reporter.task(f"vault {vault.name}: freeing room"):
        vault.compact()


def in_order(cluster: str, archives: Iterable[Archive], points: Iterable[str]) -> list[str]:
    """The archives of these points, each point's descriptor first: half removed, it is no point. Pure."""
    going = set(points)
    parsed = [(archive.name, parts) for archive in archives if (parts := names.parse(archive.name))]
    of_these = [(name, parts) for name, parts in parsed if parts.cluster == cluster and parts.point in going]
    return [name for name, parts in sorted(of_these, key=lambda each: (each[1].part != names.DESCRIPTOR, each[0]))]
