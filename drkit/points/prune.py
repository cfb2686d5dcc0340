"""Carries retention out: whole parts of points go, descriptor first, and then the room is freed.

Before anything is written it is seen that nothing was removed by somebody else: what a box that only appends still has
of it would be gone for good with the first write under a key of full access.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drkit.backup import leftovers, opening
from drkit.errors import NoRepository, NoSuchPoint, VerificationFailed
from drkit.points import catalogue as catalogues
from drkit.points import names, pins, retention, vanished
from drkit.points.catalogue import VaultListing
from drkit.vault.lock import hold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from drkit.clock import Clock
    from drkit.config.model import Config, Keep
    from drkit.observe.progress import Reporter
    from drkit.points.catalogue import Catalogue
    from drkit.points.pins import Pins
    from drkit.points.signing import Verifier
    from drkit.points.vanished import Looked
    from drkit.vault.port import Archive, Vault

HINT = (
    "somebody may have deleted behind drkit's back, and the next write with full access makes that final: leave the "
    "repository as it is. What a box that only appends was told to delete is still there, and is had back by rolling "
    "back: copy the repository, find in its file `transactions` the last transaction N before the damage, and move "
    "hints.*, index.*, integrity.* and every file in data/ with a number above N away: drkit runbook "
    "archives-vanished. Where you know why it is gone: drkit prune --accept-vanished POINT"
)
_SHOWN = 20


@dataclass(frozen=True)
class Pruned:
    """What retention means for one vault: the points kept, with the reason, and those removed."""

    vault: str
    kept: dict[str, str]
    removed: list[str]


@dataclass(frozen=True)
class _Part:
    """A vault that is being pruned, and what is there and should be."""

    vault: Vault
    rules: Keep
    listing: VaultListing
    pins: Pins
    looked: Looked


class Prune:
    """One run over all vaults. Make it, call ``execute`` once."""

    def __init__(
        self, config: Config, vaults: Mapping[str, Vault], verifier: Verifier, clock: Clock, reporter: Reporter
    ) -> None:
        self._config = config
        self._cluster = names.slug(config.cluster.name)
        self._vaults = vaults
        self._verifier = verifier
        self._clock = clock
        self._reporter = reporter

    def execute(self, *, carry_out: bool, accepted: Collection[str] = ()) -> list[Pruned]:
        """Apply each vault's retention to its parts of the points.

        Args:
            carry_out: whether to remove anything; else this is what would be removed.
            accepted: points of which archives may be gone or changed; that is remembered.

        Raises:
            VerificationFailed: archives that were sealed are gone or changed, or a descriptor cannot be trusted. What
                is not understood is not deleted, and nothing was removed in any vault.
            NoSuchPoint: nothing vanished of a point that was accepted.
            DrkitError: a vault does not answer; a point might have its only whole copy there, so nothing is removed.
        """
        with ExitStack() as stack:
            if carry_out:
                for name, vault in self._vaults.items():
                    wait = self._config.vaults[name].lock_wait
                    stack.enter_context(hold(vault, "drkit prune", wait, self._reporter))
            parts, catalogue = self._see(accepted)
            results = []
            for part in parts:
                here = [point for point in catalogue.points if part.vault.name in point.vaults]
                kept = retention.keep(here, part.rules, part.vault.name)
                results.append(Pruned(part.vault.name, kept, [point.id for point in here if point.id not in kept]))
            if carry_out:
                for part, result in zip(parts, results, strict=True):
                    self._remove(part, result.removed)
            return results

    def _see(self, accepted: Collection[str]) -> tuple[list[_Part], Catalogue]:
        listings = self._listings()
        catalogue = catalogues.assemble(self._cluster, listings, self._verifier)
        for problem in catalogue.problems:
            raise type(problem)(problem.message, HINT if isinstance(problem, VerificationFailed) else problem.hint)
        known = {each.vault: pins.read(self._vaults[each.vault], self._cluster) for each in listings}
        rules = {name: vault.keep for name, vault in self._config.vaults.items()}
        looked = vanished.look(self._cluster, listings, known, rules, self._verifier)
        missed = [each for found in looked.values() for each in found.vanished]
        unknown = set(accepted) - {each.point for each in missed}
        if unknown:
            raise NoSuchPoint(f"nothing vanished of {', '.join(sorted(unknown))}", "see what did: drkit prune --plan")
        wrong = [str(each) for each in missed if each.point not in accepted]
        wrong += self._unreadable(catalogue, known)
        if wrong:
            more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
            listed = "\n".join(f"  {line}" for line in wrong[:_SHOWN] + more)
            raise VerificationFailed(
                f"archives that were sealed are gone or changed; nothing was removed\n{listed}", HINT
            )
        for each in missed:
            self._reporter.warn(f"accepted: {each}")
        return [
            _Part(
                self._vaults[each.vault],
                rules[each.vault],
                each,
                replace(known[each.vault], accepted=_accepted(looked[each.vault])),
                looked[each.vault],
            )
            for each in listings
        ], catalogue

    def _listings(self) -> list[VaultListing]:
        """What every vault holds. One that was never made is empty."""
        asked = catalogues.ask(self._cluster, self._vaults)
        if not asked.listings:
            raise next(iter(asked.failed.values()))
        found = list(asked.listings)
        for name, error in asked.failed.items():
            vault = self._vaults[name]
            if not isinstance(error, NoRepository):
                raise error
            if leftovers.newest_sealed(vault, self._cluster) or pins.read(vault, self._cluster).archives:
                raise opening.gone(vault, error)
            found.append(VaultListing(name, (), {}))
        return found

    def _unreadable(self, catalogue: Catalogue, known: Mapping[str, Pins]) -> list[str]:
        """What is wrong with descriptors that this machine sees for the first time, each in each of its vaults."""
        wrong = []
        with self._reporter.task("reading new descriptors"):
            for point in catalogue.points:
                name = str(names.ArchiveName(self._cluster, point.id, names.DESCRIPTOR))
                for vault, archive_id in point.vaults.items():
                    if known[vault].archives.get(name) == archive_id:
                        continue
                    try:
                        only_there = replace(point, vaults={vault: archive_id})
                        catalogues.open_descriptor(only_there, self._vaults, self._verifier)
                    except VerificationFailed as error:
                        wrong.append(f"vault {vault}, {error.message}")
        return wrong

    def _remove(self, part: _Part, points: Sequence[str]) -> None:
        vault = part.vault
        if not part.listing.archives:
            return
        archives = part.listing.archives
        going = in_order(self._cluster, archives, points)
        going += not_due(leftovers.debris(self._cluster, archives, (), self._clock.now()), part.looked)
        # Before the first one goes: what is cut short here removes no more than the next one does not miss.
        left = pins.of(self._cluster, part.listing, going, part.pins.accepted)
        pins.write(vault, self._cluster, left)
        if going:
            with self._reporter.task(f"vault {vault.name}: removing {len(going)} archives"):
                vault.delete(going)
        self._see_that_all_is_there(vault, left)
        with self._reporter.task(f"vault {vault.name}: freeing room"):
            vault.compact()

    def _see_that_all_is_there(self, vault: Vault, left: Pins) -> None:
        """Raises where something else went meanwhile: there is only compaction left to make that final."""
        present = {archive.name: archive.archive_id for archive in vault.archives()}
        wrong = [name for name, archive_id in left.archives.items() if present.get(name) != archive_id]
        if wrong:
            listed = "\n".join(f"  {name}" for name in wrong[:_SHOWN])
            raise VerificationFailed(
                f"vault {vault.name}: archives vanished or changed while drkit pruned; no room was freed\n{listed}",
                HINT,
            )


def _accepted(looked: Looked) -> dict[str, str]:
    """What needs not be missed any more; all that vanished is accepted by now."""
    return {**looked.accepted, **{each.archive: each.archive_id for each in looked.vanished}}


def not_due(debris: Iterable[str], looked: Looked) -> list[str]:
    """Of what lies there without a descriptor: that which belongs to no point that is sealed elsewhere. Pure."""
    return [name for name in debris if not ((parts := names.parse(name)) and parts.point in looked.due)]


def in_order(cluster: str, archives: Iterable[Archive], points: Iterable[str]) -> list[str]:
    """The archives of these points, each point's descriptor first: half removed, it is no point. Pure."""
    going = set(points)
    parsed = [(archive.name, parts) for archive in archives if (parts := names.parse(archive.name))]
    of_these = [(name, parts) for name, parts in parsed if parts.cluster == cluster and parts.point in going]
    return [name for name, parts in sorted(of_these, key=lambda each: (each[1].part != names.DESCRIPTOR, each[0]))]
