"""Where a cluster stands: what could be brought back now, how old it is, and when that was last proven. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.config.model import DsnDatabase

if TYPE_CHECKING:
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor


@dataclass(frozen=True)
class SourceStatus:
    """One source: the point with its newest whole backup, its age in seconds (the RPO as it is), its last proof."""

    source: str
    point: str | None
    age: int | None
    proven: str | None


@dataclass(frozen=True)
class Status:
    """The whole."""

    cluster: str
    points: int
    newest: str | None
    sources: tuple[SourceStatus, ...]
    problems: tuple[str, ...]
    volumes: tuple[dict[str, Any], ...]
    """Those that no source covers, as the newest point has them; see ``Descriptor.volumes``."""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def stand(config: Config, catalogue: Catalogue, now: datetime, descriptor: Descriptor | None) -> Status:
    """Judge the catalogue: sources are those that are configured, were ever whole, or failed in the newest point.

    Args:
        config: what is configured.
        catalogue: what the vaults hold.
        now: the time.
        descriptor: the newest point's, if there is one that can be read.
    """
    configured = {f"database/{each.name}" for each in config.databases if isinstance(each, DsnDatabase)}
    known = {source.name for point in catalogue.points for source in point.summary.whole_sources}
    known |= {source.name for point in catalogue.points[:1] for source in point.summary.sources}
    problems = [problem.message for problem in catalogue.problems]
    problems += [
        f"{vault}: {len(archives)} archives of runs that never sealed"
        for vault, archives in catalogue.unsealed.items()
        if archives
    ]
    if catalogue.points and not catalogue.points[0].complete:
        problems.append(f"the newest recovery point {catalogue.points[0].id} is incomplete")
    sources = []
    for name in sorted(configured | known):
        whole = [point for point in catalogue.points if any(source.name == name for source in point.whole_sources)]
        proven = next(
            (point.verified.at for point in whole if point.verified and point.verified.level == "restored"), None
        )
        newest = whole[0] if whole else None
        age = round((now - newest.created).total_seconds()) if newest else None
        sources.append(SourceStatus(name, newest.id if newest else None, age, proven))
    newest_id = catalogue.points[0].id if catalogue.points else None
    return Status(
        config.cluster.name,
        len(catalogue.points),
        newest_id,
        tuple(sources),
        tuple(problems),
        descriptor.volumes if descriptor else (),
    )
