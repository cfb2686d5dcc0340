"""One recovery point of what several runs stored, each in a vault of its own: the last of them seals it.

A run whose point another one seals (``Run``, ``part_of``) leaves a signed part beside its archives. Here the parts are
read and put together, and the descriptor of the whole goes into each of the vaults; then the parts go. Until then what
was stored is no recovery point, and what is never sealed is removed like that of any run that died.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from drkit import __version__
from drkit.backup import leftovers
from drkit.backup.run import Outcome
from drkit.clock import to_text
from drkit.errors import BackupFailed, DrkitError, VerificationFailed
from drkit.points import catalogue as catalogues
from drkit.points import descriptor as descriptors
from drkit.points import names, signing
from drkit.points.descriptor import Descriptor, SourceEntry
from drkit.sources.port import MemoryStream
from drkit.vault.lock import hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.points.signing import Signer, Verifier
    from drkit.vault.port import Vault


@dataclass
class _Parts:
    """What was found in the vaults, and why nothing was in others."""

    found: dict[str, Descriptor] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    """Where an earlier try has sealed the whole already."""
    failed: dict[str, DrkitError] = field(default_factory=dict)


def seal(
    config: Config, vaults: Mapping[str, Vault], point: str, expected: Iterable[str], reporter: Reporter
) -> Outcome:
    """Seal what the runs of ``point`` have stored; comes to the same when it is done again.

    Args:
        config: what ``drkit.yaml`` says.
        vaults: those of the runs.
        point: see ``names.shared_point``.
        expected: the sources' names, or how they begin: what no run has is a source that failed.
        reporter: is told how it goes.

    Raises:
        BackupFailed: no run stored anything; nothing was sealed.
        DrkitError: no vault could be asked.
    """
    cluster = names.slug(config.cluster.name)
    with ExitStack() as stack:
        for vault in vaults.values():
            stack.enter_context(hold(vault, "drkit backup", config.vaults[vault.name].lock_wait, reporter))
        parts = _read(cluster, vaults, point, signing.verifier(config))
        if len(parts.failed) == len(vaults):
            raise next(iter(parts.failed.values()))
        whole = _whole(config.cluster.name, point, parts, expected)
        for entry in whole.sources:
            if not entry.ok:
                reporter.warn(f"{entry.name}: {entry.error}")
        if not any(entry.stored for entry in whole.sources):
            raise BackupFailed("no run stored anything; nothing was sealed", "see what the other pods of the Job say")
        unsealed = _seal(cluster, vaults, whole, parts, signing.signer(config, may_create=False))
        for name, error in unsealed.items():
            reporter.warn(f"vault {name}: the recovery point could not be sealed there: {error.message}")
        return Outcome(whole, unsealed)


def _read(cluster: str, vaults: Mapping[str, Vault], point: str, verifier: Verifier) -> _Parts:
    parts = _Parts()
    own = str(names.ArchiveName(cluster, point, names.PART))
    for name, vault in vaults.items():
        try:
            present = {archive.name: archive.archive_id for archive in vault.archives()}
            if str(names.ArchiveName(cluster, point, names.DESCRIPTOR)) in present:
                parts.sealed.add(name)
            if own in present:
                parts.found[name] = _part(catalogues.read_small(vault, own), point, cluster, name, present, verifier)
        except DrkitError as error:
            parts.failed[name] = error
    return parts


def _part(
    text: bytes, point: str, cluster: str, vault: str, present: Mapping[str, str], verifier: Verifier
) -> Descriptor:
    """One run's, with the vault by the name that it has here.

    Raises:
        VerificationFailed: it is another's, or not what was signed.
    """
    part = descriptors.decode(text, verifier, hashlib.sha256(text).hexdigest())
    if part.id != point or names.slug(part.cluster) != cluster:
        raise VerificationFailed(f"vault {vault}: the part is of {part.id} of cluster {part.cluster}")
    return replace(part, sources=tuple(_entry(each, vault, present) for each in part.sources))


def _entry(entry: SourceEntry, vault: str, present: Mapping[str, str]) -> SourceEntry:
    if entry.stored and present.get(entry.archive) != entry.archive_id:
        entry = replace(entry, status=descriptors.FAILED, error="its archive is gone since it was stored")
    return replace(entry, vault=vault)


def _whole(cluster: str, point: str, parts: _Parts, expected: Iterable[str]) -> Descriptor:
    """The descriptor of all of them; the same bytes from the same parts, whenever it is made. Pure."""
    found = [parts.found[name] for name in sorted(parts.found)]
    entries = [entry for part in found for entry in part.sources]
    created = names.time_of(point)
    assert created is not None  # noqa: S101 - the id was made from it
    why = "; ".join(f"vault {name}: {error.message}" for name, error in sorted(parts.failed.items()))
    for name in sorted(set(expected)):
        if not any(entry.name == name or entry.name.startswith(f"{name}/") for entry in entries):
            entries.append(_missing(name, why, created))
    return Descriptor(
        id=point,
        cluster=cluster,
        created=to_text(created),
        finished=max((part.finished for part in found), default=to_text(created)),
        sources=tuple(sorted(entries, key=lambda entry: entry.name)),
        versions={"drkit": __version__},
        warnings=tuple(warning for part in found for warning in part.warnings),
    )


def _missing(name: str, why: str, created: datetime) -> SourceEntry:
    return SourceEntry(
        name=name,
        kind="database",
        vault="databases",
        status=descriptors.FAILED,
        ended=to_text(created),
        error=f"no run stored it{': ' if why else ''}{why}",
    )


def _seal(
    cluster: str, vaults: Mapping[str, Vault], whole: Descriptor, parts: _Parts, signer: Signer
) -> dict[str, DrkitError]:
    """Into each vault that a run stored in; the parts go when all of them have it. What went wrong, by vault."""
    full_text = descriptors.encode(whole, signer)
    comment = descriptors.encode_summary(whole, full_text, signer)
    touched = sorted({entry.vault for entry in whole.sources if entry.stored})
    own = str(names.ArchiveName(cluster, whole.id, names.DESCRIPTOR))
    created = names.time_of(whole.id)
    assert created is not None  # noqa: S101 - see _whole
    unsealed: dict[str, DrkitError] = {}
    for name in touched:
        try:
            if name not in parts.sealed:
                with MemoryStream(full_text) as stream:
                    stored = vaults[name].store(own, stream, file_name=descriptors.FILE, comment=comment)
                catalogues.remember(vaults[name], stored.archive, comment, full_text)
                leftovers.remember_sealed(vaults[name], cluster, created)
        except DrkitError as error:
            unsealed[name] = error
    if unsealed and len(unsealed) == len(touched):
        first = next(iter(unsealed.values()))
        raise BackupFailed(f"nothing was sealed: the descriptor could not be stored\n{first.message}", first.hint)
    if not unsealed:
        for name in parts.found:
            vaults[name].delete([str(names.ArchiveName(cluster, whole.id, names.PART))])
    return unsealed
