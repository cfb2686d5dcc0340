"""Vaults that runs have filled, as plain values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from drkit.points import descriptor as descriptors
from drkit.points.catalogue import Catalogue, VaultListing, assemble
from drkit.vault.port import Archive
from tests.unit import builders
from tests.unit.builders import source

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.points.descriptor import Descriptor
    from drkit.points.signing import Signer

SIGNER = builders.signer()
VERIFIER = builders.verifier(SIGNER)


class Vaults:
    """Vaults being filled by runs."""

    def __init__(self) -> None:
        self.archives: dict[str, dict[str, str]] = {"cluster": {}, "databases": {}}
        self.comments: dict[str, dict[str, str]] = {"cluster": {}, "databases": {}}
        self._numbers = itertools.count()

    def put(self, vault: str, name: str, comment: str = "") -> str:
        """Make one archive; returns its id."""
        archive_id = f"{next(self._numbers):x}{vault}"
        self.archives[vault][name] = archive_id
        if comment:
            self.comments[vault][name] = comment
        return archive_id

    def seal(self, created: datetime, vaults: tuple[str, ...] = ("databases",), key: Signer = SIGNER) -> str:
        """A whole run with one source in each vault; returns the point's id."""
        point = builders.point_id(created)
        sources = []
        for vault in vaults:
            archive = f"docfast.{point}.{vault}-source"
            stored = self.put(vault, archive)
            sources.append(source(f"database/{vault}", vault=vault, archive=archive, archive_id=stored))
        sealed = builders.descriptor(created, sources)
        comment = descriptors.encode_summary(sealed, descriptors.encode(sealed, key), key)
        for vault in vaults:
            self.put(vault, f"docfast.{point}.point", comment)
        return point

    def seal_twice(self, *statuses: str) -> Descriptor:
        """A run with one source in both vaults, stored there in these ways."""
        point = builders.point_id(builders.NOON)
        sources = []
        for vault, status in zip(self.archives, statuses, strict=True):
            stored = self.put(vault, archive := f"docfast.{point}.datastore") if status != descriptors.FAILED else ""
            sources.append(
                source("datastore", vault=vault, status=status, archive=archive if stored else "", archive_id=stored)
            )
        sealed = builders.descriptor(builders.NOON, sources)
        comment = descriptors.encode_summary(sealed, descriptors.encode(sealed, SIGNER), SIGNER)
        for vault in self.archives:
            self.put(vault, f"docfast.{point}.point", comment)
        return sealed

    def remove(self, vault: str, point: str, part: str = "") -> None:
        """Remove one archive of a point, or all of them, with whatever stands in their comments."""
        for name in [name for name in self.archives[vault] if name.startswith(f"docfast.{point}.{part}")]:
            del self.archives[vault][name]
            self.comments[vault].pop(name, None)

    def listings(self, *vaults: str) -> list[VaultListing]:
        """What these vaults answer; all vaults when left out."""
        return [
            VaultListing(vault, [Archive(*pair) for pair in self.archives[vault].items()], dict(self.comments[vault]))
            for vault in vaults or self.archives
        ]

    def catalogue(self, *vaults: str) -> Catalogue:
        """What these vaults' answers come to; all vaults when left out."""
        return assemble("docfast", self.listings(*vaults), VERIFIER)
