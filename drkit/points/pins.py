"""What this machine remembers of the points in a vault, so that it sees when one is not there any more.

A descriptor pins the archives of its sources, and lies beside them: who deletes them deletes it too. So whoever seals,
prunes or verifies keeps what it has seen, outside of the vault.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit import state
from drkit.points import names, retention
from drkit.points.catalogue import VaultListing, assemble
from drkit.vault.port import Archive

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from drkit.config.model import Keep
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault


@dataclass(frozen=True)
class Pins:
    """Archives of sealed points in one vault, as they were last seen."""

    archives: Mapping[str, str] = field(default_factory=dict)
    """The id of each, by name."""
    comments: Mapping[str, str] = field(default_factory=dict)
    """Of descriptors and verifications; signed, so that they need not be believed."""
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Those that are gone or changed, by name, which the user knows of; and the id that each had."""


def of(
    cluster: str, listing: VaultListing, going: Collection[str] = (), accepted: Mapping[str, str] | None = None
) -> Pins:
    """What is worth remembering of a listing. Pure.

    Args:
        cluster: as archive names spell it.
        listing: what the vault answered.
        going: archives that are about to be removed.
        accepted: see ``Pins``.
    """
    present = {archive.name: archive.archive_id for archive in listing.archives if archive.name not in going}
    sealed = names.sealed(cluster, present)
    parsed = {name: parts for name in present if (parts := names.parse(name)) and parts.cluster == cluster}
    archives = {name: present[name] for name, parts in parsed.items() if parts.point in sealed}
    comments = {name: comment for name, comment in listing.comments.items() if name in archives}
    return Pins(archives, comments, accepted or {})


def added(cluster: str, pins: Pins, sealed: VaultListing, rules: Keep, verifier: Verifier) -> Pins:
    """The pins with a point that was just sealed, and without those that retention would remove by now. Pure.

    They are not missed where they are gone; so a machine that only ever seals does not remember more and more.
    """
    archives = {**pins.archives, **{archive.name: archive.archive_id for archive in sealed.archives}}
    comments = {**pins.comments, **sealed.comments}
    everything = VaultListing(sealed.vault, [Archive(*pair) for pair in archives.items()], comments)
    points = assemble(cluster, [everything], verifier).points
    kept = retention.keep(points, rules, sealed.vault)
    going = [name for name in archives if (parts := names.parse(name)) and parts.point not in kept]
    return of(cluster, everything, going, pins.accepted)


def read(vault: Vault, cluster: str) -> Pins:
    """What this machine remembers of ``cluster``, as archive names spell it; nothing where it never looked."""
    known = state.read_strings(_file(vault, cluster))
    return Pins(**{name: json.loads(known[name]) for name in ("archives", "comments", "accepted") if name in known})


def write(vault: Vault, cluster: str, pins: Pins) -> None:
    """Remember this, and nothing else."""
    parts = {name: json.dumps(dict(part)) for name, part in vars(pins).items()}
    state.write_durably(_file(vault, cluster), json.dumps(parts))


def _file(vault: Vault, cluster: str) -> Path:
    return state.state_dir() / "vaults" / f"{vault.identity}.{cluster}.pins.json"
