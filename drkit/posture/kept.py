"""What is known of the backups, as the audit judges it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from drkit.clock import from_text
from drkit.points.select import group
from drkit.points.status import stand
from drkit.posture.snapshot import Backups, Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor

LIMITS: Final[Mapping[str, float]] = {"cluster": 48 * 3600.0, "databases": 13 * 3600.0}
"""Seconds: twice what lies between two backups of a vault by the schedule that the documentation proposes."""
_HETZNER: Final = (".your-storagebox.de", ".your-backup.de", ".hetzner.com", ".hetzner.cloud")


def place(url: str) -> str:
    """Whose a vault is: a provider, as far as its host's name tells; else the host; ``here`` for a directory."""
    host = urlsplit(url).hostname or "" if "://" in url else ""
    if not host:
        return "here"
    return "hetzner" if host.endswith(_HETZNER) else host


def backups(
    config: Config,
    catalogue: Catalogue,
    now: datetime,
    newest: Descriptor | None,
    connections: Iterable[tuple[str, str, int]] = (),
) -> Backups:
    """Judge what the vaults hold.

    Args:
        config: what is configured.
        catalogue: what the vaults hold.
        now: the time.
        newest: the newest point's descriptor, if there is one that can be read.
        connections: see ``Backups``.
    """
    found = stand(config, catalogue, now, newest)
    verified = [from_text(point.verified.at) for point in catalogue.points if point.verified]
    return Backups(
        sources=tuple(
            Kept(
                each.source,
                None if each.age is None else float(each.age),
                LIMITS[group(each.kind)],
                from_text(each.proven) if each.proven else None,
            )
            for each in found.sources
        ),
        complete=not catalogue.points or not catalogue.points[0].incomplete_in,
        verified=max(verified, default=None),
        escrow=len(config.escrow.recipients),
        places=tuple(sorted(place(vault.url) for vault in config.vaults.values())),
        volumes=tuple(f"{each.get('namespace', '')}/{each.get('claim', '')}" for each in found.volumes),
        connections=tuple(connections),
    )
