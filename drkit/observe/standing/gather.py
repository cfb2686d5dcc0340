"""Asks all that is known: the vaults, and what this machine keeps of restores and drills. Changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drkit import state
from drkit.clock import from_text, to_text
from drkit.cluster import fields
from drkit.drill import history
from drkit.drill.report import files
from drkit.errors import DrkitError, NoRepository
from drkit.observe.standing import limits
from drkit.observe.standing.known import Known, PointSeen, RestoreSeen, VaultSeen
from drkit.points import catalogue as catalogues
from drkit.points import names
from drkit.points.status import stand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from drkit.config.model import Config
    from drkit.drill.verdict import Verdict
    from drkit.observe.standing.known import EscrowSeen, JobSeen
    from drkit.points.catalogue import Asked, Catalogue
    from drkit.points.descriptor import Descriptor
    from drkit.points.signing import Verifier
    from drkit.vault.port import Vault

_LARGEST_BYTES = 16 * 1024 * 1024
_NOT_MADE = "there is no repository yet"


def gather(
    config: Config,
    vaults: Mapping[str, Vault],
    verifier: Verifier,
    asked: Asked,
    now: datetime,
    jobs: Sequence[JobSeen] = (),
    escrow: EscrowSeen | None = None,
) -> Known:
    """All that is known now. What does not answer is told as a value: this does not fail because a vault does.

    Args:
        config: what is configured.
        vaults: the newest point's descriptor is read from them.
        verifier: pins the public keys.
        asked: what the vaults hold; see ``catalogue.ask``.
        now: the time.
        jobs: where the schedule's jobs stand.
        escrow: what is known of the escrow bundle.
    """
    catalogue = catalogues.assemble(names.slug(config.cluster.name), asked.listings, verifier)
    catalogue = replace(catalogue, problems=(*asked.unreachable, *catalogue.problems))
    catalogue, newest = _newest(catalogue, vaults, verifier)
    return Known(
        now=now,
        status=stand(config, catalogue, now, newest),
        vaults=tuple(_vault(name, config, asked, catalogue) for name in vaults),
        points=tuple(
            PointSeen(
                point.id,
                to_text(point.created),
                point.complete,
                *((point.verified.level, point.verified.at) if point.verified else ()),
            )
            for point in catalogue.points
        ),
        drills=drills(config.cluster.name),
        restores=restores(state.state_dir() / "reports"),
        jobs=tuple(jobs),
        escrow=escrow,
    )


def _newest(
    catalogue: Catalogue, vaults: Mapping[str, Vault], verifier: Verifier
) -> tuple[Catalogue, Descriptor | None]:
    try:
        newest = catalogues.open_descriptor(catalogue.points[0], vaults, verifier) if catalogue.points else None
    except DrkitError as error:
        return replace(catalogue, problems=(*catalogue.problems, error)), None
    return catalogue, newest


def _vault(name: str, config: Config, asked: Asked, catalogue: Catalogue) -> VaultSeen:
    configured = next((each for key, each in config.vaults.items() if key == name), None)
    schedule = configured.schedule or "" if configured else ""
    failed = asked.failed.get(name)
    missing = isinstance(failed, NoRepository)
    return VaultSeen(
        name,
        failed is None or missing,
        _NOT_MADE if missing else failed.message if failed else "",
        schedule,
        limits.every(schedule) if schedule else None,
        sum(name in point.vaults for point in catalogue.points),
        len(catalogue.unsealed.get(name, ())),
    )


def drills(cluster: str) -> tuple[Verdict, ...]:
    """The newest verdict on each scenario of a cluster, by name; what cannot be read is passed over."""
    found = []
    for scenario, past in sorted(history.newest(cluster).items()):
        try:
            found.append(files.read(history.directory() / f"{past.run}{history.VERDICT}"))
        except (OSError, ValueError):
            continue
        if found[-1].scenario != scenario:
            found.pop()
    return tuple(found)


def restores(reports: Path) -> tuple[RestoreSeen, ...]:
    """The newest restore to each target, newest first, from the reports in a directory; see ``restore/reports.py``."""
    newest: list[RestoreSeen | None] = []
    for directory in sorted(reports.glob("*/")):
        read = (_restore(path) for path in sorted(directory.glob("*.json"), reverse=True))
        newest.append(next((each for each in read if each is not None), None))
    return tuple(sorted((each for each in newest if each), key=lambda each: each.started, reverse=True))


def _restore(path: Path) -> RestoreSeen | None:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return None
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        started = fields.text(document, "started")
        from_text(started)
        seconds = float(document["rto_seconds"])
        ages = [float(each["age"]) for each in document["draws_on"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return RestoreSeen(
        fields.text(document, "target"),
        fields.text(document, "restore"),
        started,
        fields.text(document, "mode"),
        seconds,
        max(ages, default=None),
        document.get("proofs_equal") is True,
    )
