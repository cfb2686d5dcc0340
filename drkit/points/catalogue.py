"""What the vaults hold: the points in them, and what is wrong with each. Pure; ``read`` asks the vaults."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drkit import state
from drkit.errors import DrkitError, NoRepository, NoSuchPoint, VerificationFailed, WrongKey
from drkit.points import descriptor as descriptors
from drkit.points import names
from drkit.points.point import Point

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from drkit.points.descriptor import Descriptor, Verification
    from drkit.points.signing import Verifier
    from drkit.vault.port import Archive, Vault

_BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Catalogue:
    """All that the vaults hold, newest point first."""

    points: tuple[Point, ...] = ()
    problems: tuple[DrkitError, ...] = ()
    """Descriptors that cannot be trusted, and vaults that did not answer."""
    unsealed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For each vault, the archives of runs that never sealed a point."""

    def find(self, point: str) -> Point:
        """The point with this id, or with the only id that begins so.

        Raises:
            NoSuchPoint: there is none, or more than one.
            DrkitError: what kept points from being listed, where that left none.
        """
        if not self.points and self.problems:
            raise self.problems[0]
        if point == "latest":
            if not self.points:
                raise NoSuchPoint("there is no recovery point yet", "make one: drkit backup")
            return self.points[0]
        found = [each for each in self.points if each.id.startswith(point)]
        if len(found) != 1:
            what = "no recovery point" if not found else f"{len(found)} recovery points"
            raise NoSuchPoint(f"{what} with the id {point}", "list them: drkit points")
        return found[0]


@dataclass(frozen=True)
class VaultListing:
    """What one vault answered: its archives, and the comments of descriptors and verifications."""

    vault: str
    archives: Sequence[Archive]
    comments: Mapping[str, str]


@dataclass(frozen=True)
class Asked:
    """What the vaults answered, and why those that did not answer did not. One without a repository is in both."""

    listings: tuple[VaultListing, ...]
    failed: Mapping[str, DrkitError]

    @property
    def unreachable(self) -> tuple[DrkitError, ...]:
        """Of those that may have a repository."""
        return tuple(error for error in self.failed.values() if not isinstance(error, NoRepository))

    @property
    def refused(self) -> DrkitError | None:
        """What went wrong, where nothing is known for it; see ``read``."""
        answered = [each for each in self.listings if each.vault not in self.failed]
        if any(each.archives for each in answered) or not (self.unreachable or not answered):
            return None
        return (*self.unreachable, *self.failed.values())[0]


def assemble(cluster: str, listings: Iterable[VaultListing], verifier: Verifier) -> Catalogue:
    """Merge what the vaults answered for ``cluster``, as archive names spell it. A point in two vaults is one.

    Of a vault without a repository the listing is empty: all that was sealed there is gone.
    """
    points: dict[str, Point] = {}
    problems: list[DrkitError] = []
    unsealed: dict[str, tuple[str, ...]] = {}
    listings = list(listings)
    present = {
        listing.vault: {archive.name: archive.archive_id for archive in listing.archives} for listing in listings
    }
    for listing in listings:
        parsed = {
            name: parts for name in present[listing.vault] if (parts := names.parse(name)) and parts.cluster == cluster
        }
        sealed = {parts.point for parts in parsed.values() if parts.part == names.DESCRIPTOR}
        unsealed[listing.vault] = tuple(name for name, parts in parsed.items() if parts.point not in sealed)
        for name, parts in parsed.items():
            if parts.part == names.DESCRIPTOR:
                try:
                    point = _point(
                        cluster, parts.point, listing.comments.get(name, ""), listing.vault, present, verifier
                    )
                except DrkitError as error:
                    problems.append(
                        type(error)(
                            f"recovery point {parts.point} in vault {listing.vault}: {error.message}", error.hint
                        )
                    )
                else:
                    before = points.get(point.id)
                    points[point.id] = replace(point, vaults={**before.vaults, **point.vaults}) if before else point
    verified = _verifications(cluster, listings, verifier)
    newest_first = sorted(points.values(), key=lambda point: (point.summary.created, point.id), reverse=True)
    return Catalogue(
        tuple(replace(point, verified=verified.get(point.id)) for point in newest_first), tuple(problems), unsealed
    )


def _point(
    cluster: str, point: str, comment: str, vault: str, present: Mapping[str, Mapping[str, str]], verifier: Verifier
) -> Point:
    summary = descriptors.decode_summary(comment, verifier)
    if summary.id != point or names.slug(summary.cluster) != cluster:
        raise VerificationFailed(f"its summary is that of {summary.id} of cluster {summary.cluster}")
    gone = frozenset(
        (source.name, source.vault)
        for source in summary.stored_sources
        if source.vault in present and present[source.vault].get(source.archive) != source.archive_id
    )
    silent = frozenset(source.vault for source in summary.sources) - present.keys()
    own = str(names.ArchiveName(cluster, point, names.DESCRIPTOR))
    return Point(summary, {vault: present[vault][own]}, gone, silent)


def _verifications(cluster: str, listings: Iterable[VaultListing], verifier: Verifier) -> dict[str, Verification]:
    """The best verification of each point: a restored one before one of checksums, then the newest."""
    found: dict[str, Verification] = {}
    for listing in listings:
        for name, comment in listing.comments.items():
            parts = names.parse(name)
            if parts is None or parts.cluster != cluster or not parts.part.startswith(names.VERIFIED):
                continue
            try:
                this = descriptors.decode_verification(parts.point, comment, verifier)
            except DrkitError:
                continue  # proves nothing, so it is as if it were not there
            before = found.get(parts.point)
            if before is None or (this.level == "restored", this.at) > (before.level == "restored", before.at):
                found[parts.point] = this
    return found


def read(cluster: str, vaults: Mapping[str, Vault], verifier: Verifier) -> Catalogue:
    """Ask all vaults, side by side.

    A vault without a repository is empty. One that does not answer is a problem in the catalogue as long as another
    answers, and an error where none does.

    Raises:
        NoRepository: no vault has one: a mistyped path must not look like a vault without points.
        DrkitError: no vault answered.
    """
    cluster = names.slug(cluster)
    asked = ask(cluster, vaults)
    if asked.refused is not None:
        raise asked.refused
    catalogue = assemble(cluster, asked.listings, verifier)
    return replace(catalogue, problems=(*asked.unreachable, *catalogue.problems))


def ask(cluster: str, vaults: Mapping[str, Vault]) -> Asked:
    """Ask all vaults, side by side, for what they hold of ``cluster``, as archive names spell it."""
    listings: list[VaultListing] = []
    failed: dict[str, DrkitError] = {}
    with ThreadPoolExecutor(max_workers=len(vaults)) as pool:
        asked = {name: pool.submit(listing, cluster, vault) for name, vault in vaults.items()}
        for name, future in asked.items():
            try:
                listings.append(future.result())
            except NoRepository as error:
                listings.append(VaultListing(name, (), {}))
                failed[name] = error
            except DrkitError as error:
                failed[name] = error
    return Asked(tuple(listings), failed)


def listing(cluster: str, vault: Vault) -> VaultListing:
    """What one vault holds; comments come from this machine's cache where it has them."""
    archives = vault.archives()
    wanted = {archive.name: archive.archive_id for archive in archives if _has_comment(cluster, archive.name)}
    return VaultListing(vault.name, archives, _comments(vault, wanted))


def _has_comment(cluster: str, name: str) -> bool:
    parts = names.parse(name)
    return (
        parts is not None
        and parts.cluster == cluster
        and (parts.part == names.DESCRIPTOR or parts.part.startswith(names.VERIFIED))
    )


def _comments(vault: Vault, wanted: Mapping[str, str]) -> dict[str, str]:
    """Comments by archive name, from this machine's cache where it has them.

    An archive's id is a hash of its content, so what was cached under it stays true; and the signature is checked
    each time all the same.
    """
    file = state.cache_dir() / f"comments-{vault.identity}.json"
    known = state.read_strings(file)
    comments = {name: known[archive_id] for name, archive_id in wanted.items() if archive_id in known}
    unknown = wanted.keys() - comments.keys()
    if unknown:
        for part in (names.DESCRIPTOR, names.VERIFIED):
            comments.update(vault.comments({name for name in unknown if name.rpartition(".")[2].startswith(part)}))
    if unknown or len(known) > len(wanted):
        state.write_durably(file, json.dumps({wanted[name]: comment for name, comment in comments.items()}))
    return comments


def remember(vault: Vault, archive: Archive, comment: str, full_text: bytes) -> None:
    """Keep a descriptor that was just stored in this machine's cache, so that the next listing opens nothing."""
    file = state.cache_dir() / f"comments-{vault.identity}.json"
    state.write_durably(file, json.dumps({**state.read_strings(file), archive.archive_id: comment}))
    state.write_durably(_descriptor_file(archive.archive_id), full_text.decode())


def _descriptor_file(archive_id: str) -> Path:
    return state.cache_dir() / "descriptors" / f"{archive_id}.json"


def open_descriptor(point: Point, vaults: Mapping[str, Vault], verifier: Verifier) -> Descriptor:
    """The full descriptor of a point, from the first of its vaults that gives it whole.

    Raises:
        VerificationFailed: none does.
    """
    name = str(names.ArchiveName(names.slug(point.summary.cluster), point.id, names.DESCRIPTOR))
    sha256 = point.summary.sha256
    last: DrkitError = NoSuchPoint(f"no vault that holds {point.id} is configured")
    for vault, archive_id in point.vaults.items():
        try:
            return descriptors.decode(_full_text(vaults[vault], name, archive_id, sha256), verifier, sha256)
        except (VerificationFailed, WrongKey, NoSuchPoint) as error:
            last = error
        except DrkitError as error:  # a vault that answered a moment ago, and does not any more
            if len(point.vaults) == 1:
                raise
            last = error
    raise type(last)(f"recovery point {point.id}: {last.message}", last.hint)


def _full_text(vault: Vault, name: str, archive_id: str, expected_sha256: str) -> bytes:
    """A descriptor's text, from the cache where it is whole there: see ``_comments`` for why that is safe."""
    file = _descriptor_file(archive_id)
    if file.exists():
        cached = file.read_bytes()
        if hashlib.sha256(cached).hexdigest() == expected_sha256:
            return cached
    text = read_small(vault, name)
    state.write_durably(file, text.decode(errors="replace"))
    return text


def read_small(vault: Vault, name: str) -> bytes:
    """The text of a descriptor, read from the vault itself.

    Raises:
        VerificationFailed: it is larger than any descriptor.
    """
    blocks: list[bytes] = []
    size = 0
    with vault.open(name) as reader:
        while block := reader.read(_BLOCK):
            size += len(block)
            if size > descriptors.LARGEST_BYTES:
                raise VerificationFailed(f"{name} is larger than {descriptors.LARGEST_BYTES} bytes; no descriptor is")
            blocks.append(block)
    return b"".join(blocks)
