"""The middle of a run: the sources of one vault, one after the other.

Borg takes one writer, so while a source is stored the next one is being started, and the Borg that will take it too.
"""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.backup.opening import gone
from drkit.clock import to_text
from drkit.errors import ConnectionCut, DrkitError, NoRepository, PreflightFailed, SourceFailed, StartAgain, VaultFull
from drkit.points import descriptor as descriptors
from drkit.points import names
from drkit.points.descriptor import SourceEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from threading import Lock

    from drkit.clock import Clock
    from drkit.observe.progress import Reporter
    from drkit.sources.port import Source, SourceStream
    from drkit.vault.port import Vault

ATTEMPTS = 6
"""How often a source is started that was disturbed by what passes."""
CLOCK_TOLERANCE_SECONDS = 120
_PREPARED = 2
"""How many archives are prepared while one is stored: small sources end sooner than the next Borg is there."""
_NAMED = 3
"""How many of the things that a source lacks are named in its error; its details name all of them."""
_PASSED_OVER = (SourceFailed, PreflightFailed, ConnectionCut)
"""Failures that concern one source; after any other error the vault is not tried again in this run."""


class Storing:
    """Stores sources into one vault. Make it, call ``store_all`` once; the fields say how it went."""

    def __init__(
        self,
        vault: Vault,
        cluster: str,
        point: str,
        sources: Sequence[Source],
        turns: Mapping[str, Lock],
        clock: Clock,
        reporter: Reporter,
    ) -> None:
        self.vault = vault
        self.archives: list[str] = []
        """What has been stored, kept up to date for whoever has to undo it."""
        self.fatal: DrkitError | None = None
        """Why the vault was given up."""
        self.tried = 0
        """How many sources were begun."""
        self.warnings: list[str] = []
        self._cluster, self._point, self._sources, self._turns = cluster, point, sources, turns
        self._clock, self._reporter = clock, reporter
        self._preparer = ThreadPoolExecutor(1, f"prepare {vault.name}")
        self._preparing: list[Future[None]] = []
        self._opener = ThreadPoolExecutor(1, f"open for {vault.name}")
        self._opening: dict[int, Future[_Opened]] = {}

    @property
    def full(self) -> bool:
        """Whether the vault became full."""
        return isinstance(self.fatal, VaultFull)

    @property
    def unusable(self) -> bool:
        """Whether the vault was given up at the first source: the trouble is the vault's and no source's."""
        return self.fatal is not None and not self.full and self.tried == 1

    def prepare_first(self) -> None:
        """Let the vault get ready for the first source, in the background."""
        self._prepare(1)

    def close(self) -> None:
        """End what was prepared and is not wanted any more."""
        self._preparer.shutdown(cancel_futures=True)
        self.vault.drop_prepared()

    def store_all(self) -> list[SourceEntry]:
        """Store all of them; one entry for each, stored or failed."""
        entries: list[SourceEntry] = []
        try:
            for position in range(len(self._sources)):
                self._open(position)
                self._prepare(position + 1)
                self._preparing[position].result()
                self.tried += 1
                entries.append(self._store(position))
                if self.fatal is not None:
                    break
        finally:
            self._opener.shutdown()
            for unused in self._opening.values():
                _close_unused(unused)
            self.close()
        entries += [self.failure(source, self.fatal, "") for source in self._sources[len(entries) :] if self.fatal]
        return entries

    def _look_ahead(self, position: int) -> None:
        """Begin what follows: called when a source's bytes move, so that what is to come does not delay them."""
        self._open(position + 1)
        self._prepare(position + 1 + _PREPARED)

    def _open(self, position: int) -> None:
        if position < len(self._sources) and position not in self._opening:
            self._opening[position] = self._opener.submit(self._begin, self._sources[position])

    def _begin(self, source: Source) -> _Opened:
        """Start a source when no other vault reads it.

        k3s takes one snapshot at a time, and no database shall carry two dumps at once. All vaults go through the
        sources in one order, so that none waits for another in a circle.
        """
        turn = self._turns[source.name]
        turn.acquire()
        try:
            context = source.open()
            return _Opened(context, context.__enter__(), turn)
        except BaseException:
            turn.release()
            raise

    def _prepare(self, upto: int) -> None:
        self._preparing += [
            self._preparer.submit(self._prepare_one, source) for source in self._sources[len(self._preparing) : upto]
        ]

    def failure(self, source: Source, error: DrkitError, started: str) -> SourceEntry:
        """The entry of a source that failed, after telling the user."""
        hint = f" ({error.hint})" if error.hint else ""
        if not process.ending():
            self._reporter.warn(f"{self._called(source)}: {error.message}{hint}")
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault=self.vault.name,
            status=descriptors.FAILED,
            started=started,
            ended=to_text(self._clock.now()),
            error=error.message,
        )

    def _called(self, source: Source) -> str:
        """What messages call it: with the vault, where it goes to several."""
        return f"{source.name} in vault {self.vault.name}" if len(source.vaults) > 1 else source.name

    def _archive(self, source: Source) -> str:
        return str(names.ArchiveName(self._cluster, self._point, names.slug(source.name)))

    def _prepare_one(self, source: Source) -> None:
        with suppress(DrkitError, KeyboardInterrupt):  # storing it meets the same trouble, and reports it
            self.vault.prepare(self._archive(source), file_name=source.file_name)

    def _store(self, position: int) -> SourceEntry:
        """Store one source; sets ``fatal`` where the vault is not worth another try in this run."""
        source, opening = self._sources[position], self._opening.pop(position)
        started = to_text(self._clock.now())
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    opened = opening.result() if attempt == 1 else self._begin(source)
                    return self._stored(position, opened, started)
                except StartAgain as error:
                    if attempt == ATTEMPTS:
                        raise
                    self._reporter.note(f"{self._called(source)}: {error.message}; starting again")
        except NoRepository as error:
            self.fatal = gone(self.vault, error)
            return self.failure(source, self.fatal, started)
        except DrkitError as error:
            if not isinstance(error, _PASSED_OVER):
                self.fatal = error
            return self.failure(source, error, started)
        except Exception as error:  # noqa: BLE001 - a defect in one source must not keep the others from being saved
            self._reporter.warn("".join(traceback.format_exception(error)))
            return self.failure(source, SourceFailed(f"unexpected: {error!r}"), started)
        raise AssertionError  # the loop returns or raises

    def _stored(self, position: int, opened: _Opened, started: str) -> SourceEntry:
        source = self._sources[position]
        name = self._archive(source)

        def progress(count: int) -> None:
            self._look_ahead(position)
            task.update(count)

        with opened as stream, self._reporter.task(self._called(source)) as task:
            stored = self.vault.store(name, stream, file_name=source.file_name, progress=progress)
            self.archives.append(name)
            details = stream.details()
        self._tell(source, details)
        lacks = _what_lacks(details)
        if lacks:
            self._reporter.warn(f"{self._called(source)}: {lacks}")
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault=self.vault.name,
            status=descriptors.PARTIAL if lacks else descriptors.OK,
            archive=name,
            archive_id=stored.archive.archive_id,
            file=source.file_name,
            size=stored.size,
            sha256=stored.sha256,
            added=stored.added,
            started=started,
            ended=to_text(self._clock.now()),
            error=lacks,
            details=details,
        )

    def _tell(self, source: Source, details: Mapping[str, Any]) -> None:
        """Say, and keep for the descriptor, what a source has to say though it is whole."""
        said = list(details.get("warnings", ()))
        offset = details.get("clock_offset_seconds")
        if isinstance(offset, int) and abs(offset) > CLOCK_TOLERANCE_SECONDS:
            said.append(f"the clock of {source.name}'s server and this machine's differ by {abs(offset)} s")
        for text in said:
            self.warnings.append(text)
            self._reporter.warn(text)


def _what_lacks(details: Mapping[str, Any]) -> str:
    """What a source says that it could not read of itself; empty where it is whole."""
    lacking: Mapping[str, str] = details.get("lacking") or {}
    by_reason: dict[str, list[str]] = {}
    for name, why in sorted(lacking.items()):
        by_reason.setdefault(why, []).append(name)
    reasons = [f"{_few(named)}: {why}" for why, named in by_reason.items()]
    return f"not all of it could be read: {_few(reasons, '; ')}" if reasons else ""


def _few(named: Sequence[str], between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    more = f"{between}and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{between.join(named[:_NAMED])}{more}"


@dataclass
class _Opened:
    """A source that has been started, to be closed wherever it is used or not."""

    context: AbstractContextManager[SourceStream]
    stream: SourceStream
    turn: Lock
    """Held as long as it is open."""

    def __enter__(self) -> SourceStream:
        return self.stream

    def __exit__(self, *_: object) -> None:
        try:
            self.context.__exit__(None, None, None)
        finally:
            self.turn.release()


def _close_unused(opening: Future[_Opened]) -> None:
    """End a source that was started ahead and is not wanted any more."""
    with suppress(DrkitError), opening.result():
        pass
