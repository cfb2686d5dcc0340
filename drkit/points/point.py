"""A recovery point as the vaults have it now: which archives are there, and which of several is drawn on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drkit.clock import from_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drkit.points.descriptor import Descriptor, SourceEntry, Summary, Verification


@dataclass(frozen=True)
class Point:
    """A recovery point as the vaults have it now."""

    summary: Summary
    vaults: Mapping[str, str]
    """The vaults that hold its descriptor, and the id of the archive with it there."""
    gone: frozenset[tuple[str, str]] = frozenset()
    """Source and vault where the archive is gone, or is another than the one that was sealed."""
    silent: frozenset[str] = frozenset()
    """The vaults with a part of it that did not answer, or are not configured."""
    verified: Verification | None = None

    @property
    def id(self) -> str:
        """The point's id."""
        return self.summary.id

    @property
    def created(self) -> datetime:
        """When its run began, UTC."""
        return from_text(self.summary.created)

    @property
    def complete(self) -> bool:
        """Whether every source was sealed whole and is still there, in one vault at least."""
        return all(self._whole(source) for source in self.sources)

    @property
    def incomplete_in(self) -> tuple[str, ...]:
        """The vaults whose own part of it is not whole."""
        return tuple(sorted({source.vault for source in self.summary.sources if not self._whole(source)}))

    @property
    def missing(self) -> tuple[str, ...]:
        """Sources that were sealed and of which no archive is left."""
        stored = dict.fromkeys(source.name for source in self.summary.stored_sources)
        left = {source.name for source in self.copies}
        return tuple(name for name in stored if name not in left)

    @property
    def sources(self) -> tuple[SourceEntry, ...]:
        """Each source once, by the best there is of it: whole before in part, and in a vault that answers."""
        best: dict[str, SourceEntry] = {}
        for source in self.summary.sources:
            before = best.get(source.name)
            if before is None or self._worth(source) > self._worth(before):
                best[source.name] = source
        return tuple(best.values())

    @property
    def copies(self) -> tuple[SourceEntry, ...]:
        """Every archive of it that is there: of a source in two vaults both."""
        return tuple(source for source in self.summary.stored_sources if self._is_there(source))

    def complete_in(self, vault: str) -> bool:
        """Whether every source was sealed whole, and those in this vault are still there.

        What became of its other parts is for other vaults' retention to say.
        """
        return self.summary.complete and not any(where == vault for _, where in self.gone)

    @property
    def whole_sources(self) -> tuple[SourceEntry, ...]:
        """The sources that can be restored from it, each once."""
        return tuple(source for source in self.sources if self._whole(source))

    @property
    def stored_sources(self) -> tuple[SourceEntry, ...]:
        """These, and those of which it has a part alone."""
        return tuple(source for source in self.sources if source.stored and self._is_there(source))

    def part(self, vault: str) -> tuple[SourceEntry, ...]:
        """What is there of it in one vault."""
        return tuple(source for source in self.copies if source.vault == vault)

    def drawn_on(self, descriptor: Descriptor) -> Descriptor:
        """Its descriptor with each source once, as ``sources`` has them."""
        best = {(source.name, source.vault) for source in self.sources}
        return replace(
            descriptor, sources=tuple(each for each in descriptor.sources if (each.name, each.vault) in best)
        )

    def _is_there(self, source: SourceEntry) -> bool:
        return (source.name, source.vault) not in self.gone

    def _whole(self, source: SourceEntry) -> bool:
        return source.ok and self._is_there(source)

    def _worth(self, source: SourceEntry) -> tuple[bool, bool, bool]:
        return self._whole(source), source.stored and self._is_there(source), source.vault not in self.silent
