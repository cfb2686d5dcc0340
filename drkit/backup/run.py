"""One run of ``drkit backup``: every source into its vaults, then one signed descriptor into each vault touched.

Vaults are worked on side by side, each at its own pace: a source that goes to several is read once for each of them, so
that one vault that stalls or is lost neither holds up nor tears what goes into the others, and each archive has the
proof of its own moment. Nothing counts as backed up before its descriptor is there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from drkit import __version__, process
from drkit.backup import leftovers
from drkit.backup.opening import OpenVault, open_all
from drkit.backup.storing import Storing
from drkit.clock import to_text
from drkit.errors import BackupFailed, DrkitError, Interrupted
from drkit.points import catalogue as catalogues
from drkit.points import changes, names, pins, signing
from drkit.points import descriptor as descriptors
from drkit.points.catalogue import VaultListing
from drkit.points.descriptor import Descriptor, SourceEntry
from drkit.sources.port import MemoryStream
from drkit.vault.lock import hold
from drkit.vault.port import Archive
from drkit.workspace import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from drkit.clock import Clock
    from drkit.cluster.volumes import Volume
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.signing import Signer
    from drkit.sources.port import Source
    from drkit.vault.port import Vault

_ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the descriptor it sealed, and where it could not be sealed."""

    descriptor: Descriptor
    unsealed: Mapping[str, DrkitError] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every source is whole in one vault at least that has the descriptor too."""
        sources = self.descriptor.sources
        whole = {source.name for source in sources if source.ok and source.vault not in self.unsealed}
        return all(source.name in whole for source in sources)

    @property
    def incomplete_in(self) -> tuple[str, ...]:
        """The vaults whose own part of the point is not whole, or not sealed."""
        return tuple(sorted({*self.descriptor.incomplete_in, *self.unsealed}))


class Run:
    """One run. Make it, call ``execute`` once."""

    def __init__(
        self, config: Config, vaults: Mapping[str, Vault], clock: Clock, reporter: Reporter, *, part_of: str = ""
    ) -> None:
        """Prepare one.

        Args:
            config: what ``drkit.yaml`` says.
            vaults: what is stored goes there.
            clock: the time.
            reporter: is told how it goes.
            part_of: the point of several runs that another one seals; see ``together``. Empty for one of its own.
        """
        self._config = config
        self._cluster = names.slug(config.cluster.name)
        self._vaults = vaults
        self._clock = clock
        self._reporter = reporter
        self._part_of = part_of
        self._storing: dict[str, Storing] = {}
        self._warnings: list[str] = []
        self._volumes: tuple[Volume, ...] = ()
        self._sealed: list[VaultListing] = []

    def execute(
        self, sources: Sequence[Source], *, volumes: Sequence[Volume] = (), warnings: Sequence[str] = ()
    ) -> Outcome:
        """Back up ``sources`` as one recovery point.

        Args:
            sources: what to back up.
            volumes: those that no source covers; the descriptor names them.
            warnings: what was found before the run and belongs into the descriptor.

        Raises:
            BackupFailed: every source failed; nothing was sealed.
            VaultLocked: another run holds a vault.
            VaultUnreachable: no vault could be reached.
            WrongKey: passphrase or signing key.
            Interrupted: a signal came; what was stored has been removed again.
        """
        self._volumes = tuple(volumes)
        for warning in warnings:
            self._warn(warning)
        wanted = {name: self._vaults[name] for source in sources for name in source.vaults}
        with ExitStack() as stack:
            for vault in wanted.values():
                wait = self._config.vaults[vault.name].lock_wait
                stack.enter_context(hold(vault, "drkit backup", wait, self._reporter))
            stack.callback(self._close)
            created = names.time_of(self._part_of) or self._clock.now().replace(microsecond=0)
            point = self._begin(created, sources)
            ready, failed = open_all(self._config, wanted, self._clock, self._reporter)
            if self._config.staging is not None and self._config.staging.exists():
                remove_orphans(self._config.staging)
            signer = signing.signer(self._config, may_create=self._may_create_key(ready.values()))
            later = created if self._part_of else self._after_newest(created, ready.values())
            if later != created:
                self._close()
                point = self._begin(later, sources)
            for each in ready.values():
                leftovers.begin(each.vault, point)
            try:
                entries = self._store_all(sources, ready, failed)
                outcome = self._seal(point, later, entries, signer)
            except KeyboardInterrupt:
                self._undo()
                self._forget(ready, point)
                raise Interrupted("interrupted; what had been stored was removed again") from None
            self._forget((name for name in ready if not self._storing[name].full), point)
            self._pin()
            return outcome

    def _begin(self, created: datetime, sources: Sequence[Source]) -> str:
        """Name the point, and let its first archives be prepared while the vaults are being opened."""
        point = self._part_of or names.new_point(created)
        turns = {source.name: Lock() for source in sources}
        self._storing = {
            name: Storing(
                self._vaults[name],
                self._cluster,
                point,
                [source for source in sources if name in source.vaults],
                turns,
                self._clock,
                self._reporter,
            )
            for name in dict.fromkeys(name for source in sources for name in source.vaults)
        }
        for storing in self._storing.values():
            storing.prepare_first()
        return point

    def _close(self) -> None:
        for storing in self._storing.values():
            storing.close()

    def _may_create_key(self, ready: Iterable[OpenVault]) -> bool:
        if self._config.trusted_keys:
            return True
        return not any(names.parse(archive.name) for each in ready for archive in each.archives)

    def _after_newest(self, now: datetime, ready: Iterable[OpenVault]) -> datetime:
        """Now, or just after the newest point where the clock has gone back: newest must always mean latest made."""
        newest = max((each.newest for each in ready if each.newest), default=now - _ONE_SECOND)
        if now > newest:
            return now
        warning = (
            f"this machine's clock ({to_text(now)}) is not after the newest recovery point ({to_text(newest)}); "
            "the new one is dated right behind it"
        )
        self._warn(warning)
        return newest + _ONE_SECOND

    def _store_all(
        self, sources: Sequence[Source], ready: Mapping[str, OpenVault], failed: Mapping[str, DrkitError]
    ) -> tuple[SourceEntry, ...]:
        entries = [
            self._storing[name].failure(source, failed[name], "")
            for source in sources
            for name in source.vaults
            if name in failed
        ]
        with ThreadPoolExecutor(max_workers=len(ready), thread_name_prefix="vault") as pool:
            futures = [pool.submit(self._storing[name].store_all) for name in ready]
            try:
                for future in futures:
                    entries += future.result()
            except BaseException:
                process.stop_all()
                raise
        said = [warning for storing in self._storing.values() for warning in storing.warnings]
        self._warnings += dict.fromkeys(said)
        places = {source.name: list(source.vaults) for source in sources}
        return tuple(sorted(entries, key=lambda entry: (entry.name, places[entry.name].index(entry.vault))))

    def _seal(self, point: str, created: datetime, stored: Sequence[SourceEntry], signer: Signer) -> Outcome:
        entries = tuple(self._lost_to_a_full_vault(entry) for entry in stored)
        touched = {entry.vault for entry in entries if entry.stored}
        if not touched:
            self._nothing_stored(entries)
        known = {name: self._changes(name, [each for each in entries if each.vault == name]) for name in touched}
        sealed = Descriptor(
            id=point,
            cluster=self._config.cluster.name,
            created=to_text(created),
            finished=to_text(self._clock.now()),
            sources=entries,
            versions={"drkit": __version__},
            warnings=tuple(self._warnings),
            volumes=tuple({**asdict(each), "used_by": list(each.used_by)} for each in self._volumes),
        )
        full_text = descriptors.encode(sealed, signer)
        comment = descriptors.encode_summary(sealed, full_text, signer)
        unsealed: dict[str, DrkitError] = {}
        for name in sorted(touched):
            try:
                self._seal_in(self._storing[name], sealed, created, full_text, comment)
                leftovers.remember_names(self._vaults[name], self._cluster, known[name])
            except DrkitError as error:
                unsealed[name] = error
                self._reporter.warn(f"vault {name}: the recovery point could not be sealed there: {error.message}")
        if len(unsealed) == len(touched):
            first = next(iter(unsealed.values()))
            raise BackupFailed(f"nothing was sealed: the descriptor could not be stored\n{first.message}", first.hint)
        return Outcome(sealed, unsealed)

    def _changes(self, vault: str, entries: Sequence[SourceEntry]) -> frozenset[str]:
        """Warn of sources that came and went; returns the names to compare the next point with."""
        warnings, known = changes.compared(leftovers.known_names(self._vaults[vault], self._cluster), entries)
        for warning in warnings:
            if warning not in self._warnings:
                self._warn(warning)
        return known

    def _warn(self, warning: str) -> None:
        self._warnings.append(warning)
        self._reporter.warn(warning)

    def _seal_in(self, storing: Storing, sealed: Descriptor, created: datetime, full_text: bytes, comment: str) -> None:
        name = str(names.ArchiveName(self._cluster, sealed.id, names.PART if self._part_of else names.DESCRIPTOR))
        # First in the list: an undone run must not leave a descriptor behind whose archives are gone.
        storing.archives.insert(0, name)
        with MemoryStream(full_text) as stream:
            stored = storing.vault.store(name, stream, file_name=descriptors.FILE, comment=comment)
        leftovers.remember_sealed(storing.vault, self._cluster, created)
        if self._part_of:
            return
        catalogues.remember(storing.vault, stored.archive, comment, full_text)
        own = (each for each in sealed.sources if each.stored and each.vault == storing.vault.name)
        archives = [stored.archive, *(Archive(each.archive, each.archive_id) for each in own)]
        self._sealed.append(VaultListing(storing.vault.name, archives, {name: comment}))

    def _pin(self) -> None:
        """Remember what was sealed, now that nothing of it is undone any more."""
        verifier = signing.verifier(self._config)
        for sealed in self._sealed:
            vault = self._vaults[sealed.vault]
            rules = self._config.vaults[sealed.vault].keep
            known = pins.read(vault, self._cluster)
            pins.write(vault, self._cluster, pins.added(self._cluster, known, sealed, rules, verifier))

    def _nothing_stored(self, entries: Sequence[SourceEntry]) -> None:
        """Raise what fits: the vault's own error where no source had a chance, else that all of them failed."""
        tried = [storing for storing in self._storing.values() if storing.tried]
        if tried[0].fatal is not None and all(storing.unusable for storing in tried):
            raise tried[0].fatal
        failures = "\n".join(dict.fromkeys(f"  {entry.name}: {entry.error}" for entry in entries))
        raise BackupFailed(f"every source failed; nothing was sealed\n{failures}", "test each connection: drkit check")

    def _undo(self) -> None:
        """Remove what this run stored. What cannot be removed now, the next run removes by the record."""
        process.start_again()
        for storing in self._storing.values():
            if storing.archives:
                storing.vault.delete(storing.archives)
                storing.archives = []

    def _lost_to_a_full_vault(self, entry: SourceEntry) -> SourceEntry:
        """Nothing is sealed in a vault that became full; what had been stored there goes with the next run."""
        storing = self._storing.get(entry.vault)
        if entry.stored and storing is not None and storing.full and storing.fatal is not None:
            return replace(entry, status=descriptors.FAILED, error=storing.fatal.message)
        return entry

    def _forget(self, vaults: Iterable[str], point: str) -> None:
        for name in vaults:
            leftovers.end(self._vaults[name], point)
