"""One run of ``drkit backup``: every source into its vault, then one signed descriptor into each vault touched.

Vaults are worked on side by side; within one, Borg takes one writer, so while a source is stored the next one is
being started. Nothing counts as backed up before its descriptor is there.
"""

from __future__ import annotations

import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from drkit import __version__, process
from drkit.backup import leftovers
from drkit.clock import to_text
from drkit.errors import (
    BackupFailed,
    ConnectionCut,
    DrkitError,
    Interrupted,
    NoRepository,
    PreflightFailed,
    SourceFailed,
    VaultFull,
)
from drkit.points import catalogue as catalogues
from drkit.points import descriptor as descriptors
from drkit.points import names, signing
from drkit.points.descriptor import Descriptor, SourceEntry
from drkit.postgres.dump import TablesBusy
from drkit.sources.port import MemoryStream
from drkit.vault.lock import hold
from drkit.workspace import remove_orphans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.signing import Signer
    from drkit.sources.port import Source, SourceStream
    from drkit.vault.port import Archive, Vault

ATTEMPTS = 6
"""How often a source is started whose tables others kept locked."""
CLOCK_TOLERANCE_SECONDS = 120
_ONE_SECOND = timedelta(seconds=1)
_PASSED_OVER = (SourceFailed, PreflightFailed, ConnectionCut)
"""Failures that concern one source; after any other error the vault is not tried again in this run."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the descriptor it sealed, and where it could not be sealed."""

    descriptor: Descriptor
    unsealed: Mapping[str, DrkitError] = field(default_factory=dict)


@dataclass(frozen=True)
class _Vault:
    """A vault of this run and what it held at the beginning."""

    vault: Vault
    archives: tuple[Archive, ...] = ()
    newest: datetime | None = None
    """When the newest point that is known of was made."""


class Run:
    """One run. Make it, call ``execute`` once."""

    def __init__(self, config: Config, vaults: Mapping[str, Vault], clock: Clock, reporter: Reporter) -> None:
        self._config = config
        self._cluster = names.slug(config.cluster.name)
        self._vaults = vaults
        self._clock = clock
        self._reporter = reporter
        self._stored: dict[str, list[str]] = {}
        self._fatal: dict[str, DrkitError] = {}
        self._warnings: list[str] = []

    def execute(self, sources: Sequence[Source]) -> Outcome:
        """Back up ``sources`` as one recovery point.

        Raises:
            BackupFailed: every source failed; nothing was sealed.
            VaultLocked: another run holds a vault.
            VaultUnreachable: no vault could be reached.
            WrongKey: passphrase or signing key.
            Interrupted: a signal came; what was stored has been removed again.
        """
        wanted = {source.vault: self._vaults[source.vault] for source in sources}
        with ExitStack() as locks:
            for vault in wanted.values():
                wait = self._config.vaults[vault.name].lock_wait  # type: ignore[index]  # names come from the same mapping
                locks.enter_context(hold(vault, "drkit backup", wait, self._reporter))
            ready, failed = self._open(wanted)
            signer = signing.signer(self._config, may_create=self._may_create_key(ready.values()))
            created = self._created(ready.values())
            point = names.new_point(created)
            for each in ready.values():
                leftovers.begin(each.vault, point)
            try:
                entries = self._store_all(point, sources, ready, failed)
                outcome = self._seal(point, created, entries, ready, signer)
            except KeyboardInterrupt:
                self._undo(ready.values())
                self._forget(ready.values(), point)
                raise Interrupted("interrupted; what had been stored was removed again") from None
            self._forget((each for each in ready.values() if not self._is_full(each.vault.name)), point)
            return outcome

    def _open(self, wanted: Mapping[str, Vault]) -> tuple[dict[str, _Vault], dict[str, DrkitError]]:
        """Reach every vault, make what is not there, and clear away what dead runs left."""
        ready: dict[str, _Vault] = {}
        failed: dict[str, DrkitError] = {}
        for name, vault in wanted.items():
            try:
                ready[name] = self._opened(vault)
            except DrkitError as error:
                failed[name] = error
        if not ready:
            raise next(iter(failed.values()))
        if self._config.staging is not None and self._config.staging.exists():
            remove_orphans(self._config.staging)
        return ready, failed

    def _opened(self, vault: Vault) -> _Vault:
        dead = leftovers.dead_runs(vault)
        known = leftovers.newest_sealed(vault, self._cluster)
        if known is not None and not dead and signing.existing_signer(self._config) is not None:
            # Nothing to clear away and nothing to ask: Borg's first call finds out whether the vault is there.
            return _Vault(vault, newest=known)
        try:
            archives = vault.archives()
        except NoRepository as error:
            if known is not None:
                raise self._gone(vault, error) from None
            self._reporter.note(f"vault {vault.name}: making the repository")
            vault.create()
            archives = ()
        debris = leftovers.debris(self._cluster, archives, dead, self._clock.now())
        if debris:
            self._reporter.note(f"vault {vault.name}: removing {len(debris)} archives that no run sealed")
            vault.delete(debris)
        for point in dead:
            leftovers.end(vault, point)
        parsed = (names.parse(archive.name) for archive in archives)
        times = [
            time
            for parts in parsed
            if parts and parts.cluster == self._cluster and (time := names.time_of(parts.point))
        ]
        return _Vault(vault, archives, max(times, default=None))

    def _gone(self, vault: Vault, error: NoRepository) -> NoRepository:
        return NoRepository(
            f"vault {vault.name}: the repository that was there is gone\n{error.message}",
            f"mount or restore it; to begin a new one all the same, remove {leftovers.record_of(vault)}",
        )

    def _may_create_key(self, ready: Iterable[_Vault]) -> bool:
        if self._config.trusted_keys:
            return True
        return not any(names.parse(archive.name) for each in ready for archive in each.archives)

    def _created(self, ready: Iterable[_Vault]) -> datetime:
        """Now, or just after the newest point where the clock has gone back: newest must always mean latest made."""
        now = self._clock.now().replace(microsecond=0)
        newest = max((each.newest for each in ready if each.newest), default=now - _ONE_SECOND)
        if now > newest:
            return now
        self._warn(
            f"this machine's clock ({to_text(now)}) is not after the newest recovery point ({to_text(newest)}); "
            "the new one is dated right behind it"
        )
        return newest + _ONE_SECOND

    def _warn(self, text: str) -> None:
        self._warnings.append(text)
        self._reporter.warn(text)

    def _store_all(
        self,
        point: str,
        sources: Sequence[Source],
        ready: Mapping[str, _Vault],
        failed: Mapping[str, DrkitError],
    ) -> tuple[SourceEntry, ...]:
        entries = [self._failure(source, failed[source.vault], "") for source in sources if source.vault in failed]
        with ThreadPoolExecutor(max_workers=len(ready), thread_name_prefix="vault") as pool:
            futures = [
                pool.submit(self._store_in, each.vault, point, [source for source in sources if source.vault == name])
                for name, each in ready.items()
            ]
            try:
                for future in futures:
                    entries += future.result()
            except BaseException:
                process.stop_all()
                raise
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def _store_in(self, vault: Vault, point: str, sources: Sequence[Source]) -> list[SourceEntry]:
        """Store the sources of one vault, one after the other, the next one always being started meanwhile."""
        entries: list[SourceEntry] = []
        fatal: DrkitError | None = None
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"ahead of {vault.name}") as ahead:
            opening = deque([ahead.submit(_open_source, sources[0])])
            for position, source in enumerate(sources):
                opening.extend(ahead.submit(_open_source, each) for each in sources[position + 1 : position + 2])
                entry, fatal = self._store(vault, point, source, opening.popleft())
                entries.append(entry)
                if fatal is not None:
                    self._fatal[vault.name] = fatal
                    for unused in opening:
                        _close_unused(unused)
                    break
        entries += [self._failure(source, fatal, "") for source in sources[len(entries) :] if fatal is not None]
        return entries

    def _store(
        self, vault: Vault, point: str, source: Source, opening: Future[_Opened]
    ) -> tuple[SourceEntry, DrkitError | None]:
        """Store one source. The second result is set where the vault is not worth another try in this run."""
        started = to_text(self._clock.now())
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    opened = opening.result() if attempt == 1 else _open_source(source)
                    return self._stored_entry(vault, point, source, opened, started), None
                except TablesBusy:
                    if attempt == ATTEMPTS:
                        raise
                    self._reporter.note(f"{source.name}: tables are locked by another session; trying again")
        except NoRepository as error:
            gone = self._gone(vault, error)
            return self._failure(source, gone, started), gone
        except DrkitError as error:
            return self._failure(source, error, started), None if isinstance(error, _PASSED_OVER) else error
        except Exception as error:  # noqa: BLE001 - a defect in one source must not keep the others from being saved
            self._reporter.warn("".join(traceback.format_exception(error)))
            return self._failure(source, SourceFailed(f"unexpected: {error!r}"), started), None
        raise AssertionError  # the loop returns or raises

    def _stored_entry(self, vault: Vault, point: str, source: Source, opened: _Opened, started: str) -> SourceEntry:
        name = str(names.ArchiveName(self._cluster, point, names.slug(source.name)))
        with opened as stream, self._reporter.task(source.name) as task:
            stored = vault.store(name, stream, file_name=source.file_name, progress=task.update)
            self._stored.setdefault(vault.name, []).append(name)
            details = stream.details()
        self._compare_clocks(source, details)
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault=vault.name,
            status=descriptors.OK,
            archive=name,
            archive_id=stored.archive.archive_id,
            file=source.file_name,
            size=stored.size,
            sha256=stored.sha256,
            added=stored.added,
            started=started,
            ended=to_text(self._clock.now()),
            details=details,
        )

    def _compare_clocks(self, source: Source, details: Mapping[str, object]) -> None:
        offset = details.get("clock_offset_seconds")
        if isinstance(offset, int) and abs(offset) > CLOCK_TOLERANCE_SECONDS:
            self._warn(f"the clock of {source.name}'s server and this machine's differ by {abs(offset)} s")

    def _failure(self, source: Source, error: DrkitError, started: str) -> SourceEntry:
        hint = f" ({error.hint})" if error.hint else ""
        if not process.ending():
            self._reporter.warn(f"{source.name}: {error.message}{hint}")
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault=source.vault,
            status=descriptors.FAILED,
            started=started,
            ended=to_text(self._clock.now()),
            error=error.message,
        )

    def _seal(
        self, point: str, created: datetime, entries: Sequence[SourceEntry], ready: Mapping[str, _Vault], signer: Signer
    ) -> Outcome:
        entries = [self._lost_to_a_full_vault(entry) for entry in entries]
        touched = [
            each.vault for name, each in ready.items() if any(entry.ok and entry.vault == name for entry in entries)
        ]
        if not touched:
            unusable = [error for error in self._fatal.values() if not isinstance(error, VaultFull)]
            messages = {error.message for error in unusable}
            if unusable and all(entry.error in messages for entry in entries if entry.vault in ready):
                raise unusable[0]
            failures = "\n".join(f"  {entry.name}: {entry.error}" for entry in entries)
            raise BackupFailed(
                f"every source failed; nothing was sealed\n{failures}", "test each connection: drkit check"
            )
        sealed = Descriptor(
            id=point,
            cluster=self._config.cluster.name,
            created=to_text(created),
            finished=to_text(self._clock.now()),
            sources=tuple(entries),
            versions={"drkit": __version__},
            warnings=tuple(self._warnings),
        )
        full_text = descriptors.encode(sealed, signer)
        comment = descriptors.encode_summary(sealed, full_text, signer)
        name = str(names.ArchiveName(self._cluster, point, names.DESCRIPTOR))
        unsealed: dict[str, DrkitError] = {}
        for vault in touched:
            # First in the list: an undone run must not leave a descriptor behind whose archives are gone.
            self._stored.setdefault(vault.name, []).insert(0, name)
            try:
                with MemoryStream(full_text) as stream:
                    stored = vault.store(name, stream, file_name="descriptor.json", comment=comment)
                catalogues.remember(vault, stored.archive, comment, full_text)
                leftovers.remember_sealed(vault, self._cluster, created)
            except DrkitError as error:
                unsealed[vault.name] = error
                self._reporter.warn(
                    f"vault {vault.name}: the recovery point could not be sealed there: {error.message}"
                )
        if len(unsealed) == len(touched):
            first = next(iter(unsealed.values()))
            raise BackupFailed(f"nothing was sealed: the descriptor could not be stored\n{first.message}", first.hint)
        return Outcome(sealed, unsealed)

    def _undo(self, ready: Iterable[_Vault]) -> None:
        """Remove what this run stored. What cannot be removed now, the next run removes by the record."""
        process.start_again()
        for each in ready:
            stored = self._stored.pop(each.vault.name, [])
            if stored:
                each.vault.delete(stored)

    def _is_full(self, vault: str) -> bool:
        return isinstance(self._fatal.get(vault), VaultFull)

    def _lost_to_a_full_vault(self, entry: SourceEntry) -> SourceEntry:
        """Nothing is sealed in a vault that became full; what had been stored there goes with the next run."""
        if entry.ok and self._is_full(entry.vault):
            return replace(entry, status=descriptors.FAILED, error=self._fatal[entry.vault].message)
        return entry

    def _forget(self, ready: Iterable[_Vault], point: str) -> None:
        for each in ready:
            leftovers.end(each.vault, point)


@dataclass
class _Opened:
    """A source that has been started, to be closed wherever it is used or not."""

    context: AbstractContextManager[SourceStream]
    stream: SourceStream

    def __enter__(self) -> SourceStream:
        return self.stream

    def __exit__(self, *_: object) -> None:
        self.context.__exit__(None, None, None)


def _open_source(source: Source) -> _Opened:
    context = source.open()
    return _Opened(context, context.__enter__())


def _close_unused(opening: Future[_Opened]) -> None:
    """End a source that was started ahead and is not wanted any more."""
    with suppress(DrkitError), opening.result():
        pass
