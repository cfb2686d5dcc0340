"""The beginning of a run: reach every vault, make what is not there, clear away what dead runs left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.backup import leftovers
from drkit.errors import DrkitError, NoRepository
from drkit.points import names, signing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from drkit.clock import Clock
    from drkit.config.model import Config
    from drkit.observe.progress import Reporter
    from drkit.vault.port import Archive, Vault


@dataclass(frozen=True)
class OpenVault:
    """A vault of this run and what it held at the beginning."""

    vault: Vault
    archives: tuple[Archive, ...] = ()
    newest: datetime | None = None
    """When the newest point that is known of was made."""


def open_all(
    config: Config, wanted: Mapping[str, Vault], clock: Clock, reporter: Reporter
) -> tuple[dict[str, OpenVault], dict[str, DrkitError]]:
    """Open what can be opened; the second result has the others' errors.

    Raises:
        DrkitError: none could be; the first one's error.
    """
    ready: dict[str, OpenVault] = {}
    failed: dict[str, DrkitError] = {}
    for name, vault in wanted.items():
        try:
            ready[name] = _open(config, vault, clock, reporter)
        except DrkitError as error:
            failed[name] = error
    if not ready:
        raise next(iter(failed.values()))
    return ready, failed


def gone(vault: Vault, error: NoRepository) -> NoRepository:
    """The error for a repository that this machine has sealed points in and that is there no more."""
    return NoRepository(
        f"vault {vault.name}: the repository that was there is gone\n{error.message}",
        f"mount or restore it; to begin a new one all the same, remove {leftovers.record_of(vault)}",
    )


def _open(config: Config, vault: Vault, clock: Clock, reporter: Reporter) -> OpenVault:
    cluster = names.slug(config.cluster.name)
    dead = leftovers.dead_runs(vault)
    known = leftovers.newest_sealed(vault, cluster)
    if known is not None and not dead and signing.existing_signer(config) is not None:
        # Nothing to clear away and nothing to ask: Borg's first call finds out whether the vault is there.
        return OpenVault(vault, newest=known)
    archives = _archives(vault, reporter) if known is None else _known_archives(vault)
    debris = leftovers.debris(cluster, archives, dead, clock.now())
    if debris:
        reporter.note(f"vault {vault.name}: removing {len(debris)} archives that no run sealed")
        vault.delete(debris)
    for point in dead:
        leftovers.end(vault, point)
    parsed = (names.parse(archive.name) for archive in archives)
    times = [time for parts in parsed if parts and parts.cluster == cluster and (time := names.time_of(parts.point))]
    return OpenVault(vault, archives, max(times, default=None))


def _archives(vault: Vault, reporter: Reporter) -> tuple[Archive, ...]:
    """What a vault holds that this machine has never sealed a point in: mostly, it is yet to be made."""
    if vault.create():
        reporter.note(f"vault {vault.name}: made the repository")
        return ()
    return vault.archives()


def _known_archives(vault: Vault) -> tuple[Archive, ...]:
    try:
        return vault.archives()
    except NoRepository as error:
        raise gone(vault, error) from None
