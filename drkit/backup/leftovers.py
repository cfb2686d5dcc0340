"""What runs leave behind that could not clean up after themselves, and how the next run removes it.

A run writes a record before it stores anything and removes it when it is done. Whoever holds the vault's lock and
finds a record has found a run of this machine that died.
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from drkit import state
from drkit.clock import from_text, to_text
from drkit.points import names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from drkit.vault.port import Archive, Vault

FOREIGN_AGE = timedelta(hours=24)
"""Archives that another machine's run never sealed are taken for abandoned after this time."""


def _records(vault: Vault) -> Path:
    directory = state.state_dir() / "runs" / vault.identity
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def begin(vault: Vault, point: str) -> None:
    """Write the record of a run."""
    state.write_durably(_records(vault) / point, "")


def end(vault: Vault, point: str) -> None:
    """Remove the record: the run has sealed its point or removed what it stored."""
    (_records(vault) / point).unlink(missing_ok=True)


def record_of(vault: Vault) -> Path:
    """The file that says that this machine has sealed points in the vault, and when the last one of each cluster."""
    return state.state_dir() / "vaults" / f"{vault.identity}.json"


def remember_sealed(vault: Vault, cluster: str, created: datetime) -> None:
    """Note a point of ``cluster`` that was sealed."""
    state.write_durably(
        record_of(vault), json.dumps({**state.read_strings(record_of(vault)), cluster: to_text(created)})
    )


def newest_sealed(vault: Vault, cluster: str) -> datetime | None:
    """When the last point was made that this machine sealed there; nothing where it never has."""
    known = state.read_strings(record_of(vault)).get(cluster)
    return from_text(known) if known else None


def remember_names(vault: Vault, cluster: str, sources: Iterable[str]) -> None:
    """Note the sources of ``cluster`` that a point there has."""
    kept = {**state.read_strings(_names_of(vault)), cluster: json.dumps(sorted(sources))}
    state.write_durably(_names_of(vault), json.dumps(kept))


def known_names(vault: Vault, cluster: str) -> list[str] | None:
    """The sources that this machine knows of there; nothing where it has never sealed a point."""
    known = state.read_strings(_names_of(vault)).get(cluster)
    return [str(name) for name in json.loads(known)] if known else None


def _names_of(vault: Vault) -> Path:
    return state.state_dir() / "vaults" / f"{vault.identity}.names.json"


def forget(identity: str) -> None:
    """Forget a vault that was removed with purpose: what comes to be at its address is another one.

    Args:
        identity: see ``Vault.identity``.
    """
    for path in (state.state_dir() / "vaults").glob(f"{identity}.*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(state.state_dir() / "runs" / identity, ignore_errors=True)


def dead_runs(vault: Vault) -> list[str]:
    """The points of this machine's runs that died. Only for the holder of the vault's lock."""
    return sorted(record.name for record in _records(vault).iterdir() if not record.name.startswith("."))


def debris(cluster: str, archives: Iterable[Archive], dead: Iterable[str], now: datetime) -> list[str]:
    """The archives that belong to no sealed point and to no run that may still be going. Pure.

    Args:
        cluster: as archive names spell it.
        archives: all that the vault holds.
        dead: points of runs of this machine that died.
        now: the time, for runs of other machines.
    """
    parsed = {archive.name: parts for archive in archives if (parts := _of(cluster, archive.name))}
    sealed = {parts.point for name, parts in parsed.items() if name == str(parts) and parts.part == names.DESCRIPTOR}
    dead = set(dead)
    return sorted(
        name
        for name, parts in parsed.items()
        if parts.point not in sealed and (parts.point in dead or _is_abandoned(parts.point, now))
    )


def _of(cluster: str, name: str) -> names.ArchiveName | None:
    # Borg's own checkpoints of an interrupted create carry a suffix.
    parts = names.parse(re.sub(r"\.checkpoint(\.\d+)?$", "", name))
    return parts if parts and parts.cluster == cluster else None


def _is_abandoned(point: str, now: datetime) -> bool:
    began = names.time_of(point)
    return began is not None and now - began > FOREIGN_AGE
