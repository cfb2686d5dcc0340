"""The middle of a run: the sources of one vault, one after the other.

Borg takes one writer, so while a source is stored the next one is being started, and the Borg that will take it too.
"""

from __future__ import annotations

import traceback
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit import process
from drkit.backup.opening import gone
from drkit.clock import to_text
from drkit.errors import ConnectionCut, DrkitError, NoRepository, PreflightFailed, SourceFailed, VaultFull
from drkit.points import descriptor as descriptors
from drkit.points import names
from drkit.points.descriptor import SourceEntry
from drkit.postgres.dump import TablesBusy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from drkit.clock import Clock
    from drkit.observe.progress import Reporter
    from drkit.sources.port import Source, SourceStream
    from drkit.vault.port import Vault

ATTEMPTS = 6
"""How often a source is started whose tables others kept locked."""
CLOCK_TOLERANCE_SECONDS = 120
_PREPARED = 2
"""How many archives are prepared while one is stored: small sources end sooner than the next Borg is there."""
_PASSED_OVER = (SourceFailed, PreflightFailed, ConnectionCut)
"""Failures that concern one source; after any other error the vault is not tried again in this run."""


class Storing:
    """Stores sources into one vault. Make it, call ``store_all`` once; the fields say how it went."""

    def __init__(self, vault: Vault, cluster: str, point: str, clock: Clock, reporter: Reporter) -> None:
        self.vault = vault
        self.archives: list[str] = []
        """What has been stored, kept up to date for whoever has to undo it."""
        self.fatal: DrkitError | None = None
        """Why the vault was given up."""
        self.warnings: list[str] = []
        self._cluster, self._point = cluster, point
        self._clock, self._reporter = clock, reporter
        self._tried = 0

    @property
    def full(self) -> bool:
        """Whether the vault became full."""
        return isinstance(self.fatal, VaultFull)

    @property
    def unusable(self) -> bool:
        """Whether the vault was given up at the first source: the trouble is the vault's and no source's."""
        return self.fatal is not None and not self.full and self._tried == 1

    def store_all(self, sources: Sequence[Source]) -> list[SourceEntry]:
        """Store all of them; one entry for each, stored or failed."""
        entries: list[SourceEntry] = []
        with ThreadPoolExecutor(1, "open ahead") as opener, ThreadPoolExecutor(1, "prepare ahead") as preparer:
            preparing = [preparer.submit(self._prepare, source) for source in sources[:1]]
            opening = deque([opener.submit(_open, sources[0])])
            try:
                for position, source in enumerate(sources):
                    opening.extend(opener.submit(_open, each) for each in sources[position + 1 : position + 2])
                    preparing += [
                        preparer.submit(self._prepare, each)
                        for each in sources[len(preparing) : position + 1 + _PREPARED]
                    ]
                    preparing[position].result()
                    self._tried += 1
                    entries.append(self._store(source, opening.popleft()))
                    if self.fatal is not None:
                        break
            finally:
                for unused in opening:
                    _close_unused(unused)
                preparer.shutdown(cancel_futures=True)
                self.vault.drop_prepared()
        entries += [self.failure(source, self.fatal, "") for source in sources[len(entries) :] if self.fatal]
        return entries

    def failure(self, source: Source, error: DrkitError, started: str) -> SourceEntry:
        """The entry of a source that failed, after telling the user."""
        hint = f" ({error.hint})" if error.hint else ""
        if not process.ending():
            self._reporter.warn(f"{source.name}: {error.message}{hint}")
        return failed_entry(source, error, started, to_text(self._clock.now()))

    def _archive(self, source: Source) -> str:
        return str(names.ArchiveName(self._cluster, self._point, names.slug(source.name)))

    def _prepare(self, source: Source) -> None:
        with suppress(DrkitError, KeyboardInterrupt):  # storing it meets the same trouble, and reports it
            self.vault.prepare(self._archive(source), file_name=source.file_name)

    def _store(self, source: Source, opening: Future[_Opened]) -> SourceEntry:
        """Store one source; sets ``fatal`` where the vault is not worth another try in this run."""
        started = to_text(self._clock.now())
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    opened = opening.result() if attempt == 1 else _open(source)
                    return self._stored(source, opened, started)
                except TablesBusy:
                    if attempt == ATTEMPTS:
                        raise
                    self._reporter.note(f"{source.name}: tables are locked by another session; trying again")
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

    def _stored(self, source: Source, opened: _Opened, started: str) -> SourceEntry:
        name = self._archive(source)
        with opened as stream, self._reporter.task(source.name) as task:
            stored = self.vault.store(name, stream, file_name=source.file_name, progress=task.update)
            self.archives.append(name)
            details = stream.details()
        self._compare_clocks(source, details)
        return SourceEntry(
            name=source.name,
            kind=source.kind,
            vault=self.vault.name,
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
            text = f"the clock of {source.name}'s server and this machine's differ by {abs(offset)} s"
            self.warnings.append(text)
            self._reporter.warn(text)


def failed_entry(source: Source, error: DrkitError, started: str, ended: str) -> SourceEntry:
    """The entry of a source that is not in the point."""
    return SourceEntry(
        name=source.name,
        kind=source.kind,
        vault=source.vault,
        status=descriptors.FAILED,
        started=started,
        ended=ended,
        error=error.message,
    )


@dataclass
class _Opened:
    """A source that has been started, to be closed wherever it is used or not."""

    context: AbstractContextManager[SourceStream]
    stream: SourceStream

    def __enter__(self) -> SourceStream:
        return self.stream

    def __exit__(self, *_: object) -> None:
        self.context.__exit__(None, None, None)


def _open(source: Source) -> _Opened:
    context = source.open()
    return _Opened(context, context.__enter__())


def _close_unused(opening: Future[_Opened]) -> None:
    """End a source that was started ahead and is not wanted any more."""
    with suppress(DrkitError), opening.result():
        pass
