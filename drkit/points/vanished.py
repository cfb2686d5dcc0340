"""Which archives were sealed and are not in their vault any more, or are others now. Pure.

A box that only appends refuses no deletion: it keeps what was deleted until somebody with full access writes to the
repository or compacts it (Borg, "Append-only mode"). So whoever has full access looks before it writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drkit.points import names, retention
from drkit.points.catalogue import VaultListing, assemble
from drkit.vault.port import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.config.model import Keep
    from drkit.points.pins import Pins
    from drkit.points.point import Point
    from drkit.points.signing import Verifier

GONE = "is gone"
CHANGED = "is another one than was sealed"


@dataclass(frozen=True)
class Vanished:
    """One archive."""

    vault: str
    point: str
    archive: str
    what: str
    archive_id: str = ""
    """The one that it had, where that is known."""

    def __str__(self) -> str:
        """As people read it."""
        return f"vault {self.vault}, recovery point {self.point}: the archive {self.archive} {self.what}"


@dataclass(frozen=True)
class Looked:
    """What came of it for one vault."""

    vanished: tuple[Vanished, ...]
    due: frozenset[str]
    """The points with a part there that no rule would have removed, wherever that is known from."""
    accepted: Mapping[str, str]
    """What was accepted as vanished and would be missed still, by name; and the id that it had."""


def look(
    cluster: str,
    listings: Sequence[VaultListing],
    pins: Mapping[str, Pins],
    rules: Mapping[str, Keep],
    verifier: Verifier,
) -> dict[str, Looked]:
    """Compare what the vaults hold with what descriptors and this machine know of it; by vault.

    A part of a point that is gone as a whole is missed where retention keeps it: what it does not keep, another
    machine has pruned, or an earlier prune that was cut short. A part whose descriptor alone is not there, and was
    never seen, may be on its way into the vault: nothing of it is lost, and so it is not missed.

    Args:
        cluster: as archive names spell it.
        listings: what every vault answered.
        pins: what this machine remembers of each vault.
        rules: the retention of each.
        verifier: descriptors that it does not believe pin nothing.
    """
    known = assemble(cluster, [_with(listing, pins[listing.vault]) for listing in listings], verifier)
    return {
        listing.vault: _look(cluster, listing, pins[listing.vault], known.points, rules[listing.vault])
        for listing in listings
    }


def _with(listing: VaultListing, pins: Pins) -> VaultListing:
    """What the vault holds, and what it held."""
    present = {archive.name: archive.archive_id for archive in listing.archives}
    both = {**pins.archives, **present}
    comments = {**pins.comments, **listing.comments}
    return VaultListing(listing.vault, [Archive(*pair) for pair in both.items()], comments)


def _look(cluster: str, listing: VaultListing, pins: Pins, points: Sequence[Point], rules: Keep) -> Looked:
    vault = listing.vault
    concerned = [_whole(point, vault) for point in points if vault in point.vaults or _sealed_in(point, vault)]
    due = retention.keep(concerned, rules, vault)
    # What was seen here and nobody can judge, as under a key that is not believed any more, is missed as well.
    removable = {point.id for point in concerned} - due.keys()
    present = {archive.name: archive.archive_id for archive in listing.archives}
    here = names.sealed(cluster, present)
    sealed = dict(pins.archives)
    for point in concerned:
        sealed |= _sealed_in(point, vault)
    lacking = {name: archive_id for name, archive_id in sealed.items() if present.get(name) != archive_id}

    def missed() -> Iterator[Vanished]:
        for name, archive_id in sorted(lacking.items()):
            parts = names.parse(name)
            if parts is None or pins.accepted.get(name) == archive_id:
                continue
            if name in present or parts.point in here or parts.point not in removable:
                yield Vanished(vault, parts.point, name, CHANGED if name in present else GONE, archive_id)

    accepted = {name: archive_id for name, archive_id in pins.accepted.items() if lacking.get(name) == archive_id}
    return Looked(tuple(missed()), frozenset(due), accepted)


def _sealed_in(point: Point, vault: str) -> dict[str, str]:
    return {each.archive: each.archive_id for each in point.summary.stored_sources if each.vault == vault}


def _whole(point: Point, vault: str) -> Point:
    """The point as it was before anything of it vanished from this vault."""
    return replace(point, gone=frozenset(each for each in point.gone if each[1] != vault))
