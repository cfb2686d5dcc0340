"""Where a cluster stands: what could be brought back now, how old it is, and when that was last proven. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from drkit.clock import from_text
from drkit.config.model import DsnDatabase
from drkit.points import changes
from drkit.points.descriptor import OK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from drkit.config.model import Config
    from drkit.points.catalogue import Catalogue
    from drkit.points.descriptor import Descriptor, SourceEntry
    from drkit.points.point import Point

RESTORED = "restored"
_COMES_AND_GOES = changes.FOUND_OUT | {"server-files", "volumes"}


@dataclass(frozen=True)
class SourceStatus:
    """One source.

    Attributes:
        point: the one with its newest whole backup.
        age: of that, in seconds: the RPO as it is.
        proven: when a restore of it was last proven, RFC 3339 in UTC.
        vault: where it goes, the first of several; empty where it was never backed up.
        result: of the newest run that tried it: ``ok``, ``partial`` or ``failed``; empty where none did.
        error: what was wrong in that run.
        size: bytes of the newest whole backup as read from the source; ``added``: those that were new to the vault.
        seconds: how long that took; None where it is not known.
        copies: in how many recovery points it is whole.
        gone: it was there once, and the newest run that looked for its like found it no more.
    """

    source: str
    point: str | None
    age: int | None
    proven: str | None
    kind: str = ""
    vault: str = ""
    result: str = ""
    error: str = ""
    size: int = 0
    added: int = 0
    seconds: float | None = None
    copies: int = 0
    gone: bool = False


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
    configured = expected(config)
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
    elif catalogue.points and catalogue.points[0].incomplete_in:
        where = ", ".join(catalogue.points[0].incomplete_in)
        problems.append(f"the newest recovery point {catalogue.points[0].id} is incomplete in vault {where}")
    newest_id = catalogue.points[0].id if catalogue.points else None
    return Status(
        config.cluster.name,
        len(catalogue.points),
        newest_id,
        tuple(
            _source(name, catalogue.points, now, configured=name in configured) for name in sorted(configured | known)
        ),
        tuple(problems),
        descriptor.volumes if descriptor else (),
    )


def expected(config: Config) -> frozenset[str]:
    """The sources that a configuration means whatever is found by asking."""
    named = {f"database/{each.name}" for each in config.databases if isinstance(each, DsnDatabase)}
    if config.cluster.kubeconfig is not None or config.cluster.servers:
        named |= {"datastore", "topology"}
    if config.cluster.kubeconfig is not None:
        named.add("manifests")
    return frozenset(named)


def _source(name: str, points: Sequence[Point], now: datetime, *, configured: bool) -> SourceStatus:
    tried = next((source for point in points for source in point.sources if source.name == name), None)
    whole = [(point, source) for point in points for source in point.whole_sources if source.name == name]
    seen = (source for point in points for source in point.summary.sources if source.name == name)
    vault = next((source.vault for source in seen), "")
    if not whole:
        missing = SourceStatus(name, None, None, None, name.partition("/")[0], vault)
        return missing if tried is None else SourceStatus(**{**asdict(missing), **_tried(tried)})
    newest, entry = whole[0]
    proven = next((at.at for point, _ in whole if (at := point.verified) and at.level == RESTORED), None)
    return SourceStatus(
        name,
        newest.id,
        round((now - newest.created).total_seconds()),
        proven,
        entry.kind,
        vault,
        size=entry.size,
        added=entry.added,
        seconds=_seconds(entry),
        copies=len(whole),
        gone=not configured and _gone(name, entry.kind, points),
        **_tried(tried or entry),
    )


def _tried(entry: SourceEntry) -> dict[str, Any]:
    return {"result": entry.status, "error": entry.error}


def _seconds(entry: SourceEntry) -> float | None:
    try:
        return (from_text(entry.ended) - from_text(entry.started)).total_seconds()
    except ValueError:
        return None


def _gone(name: str, kind: str, points: Sequence[Point]) -> bool:
    """Whether the newest run that looked for sources of its kind could ask for them, and found this one no more."""
    if kind not in _COMES_AND_GOES:
        return False
    for point in points:
        sources = point.summary.sources
        if any(source.kind == kind for source in sources):
            # Where the API did not answer, its own source says so, and nothing is known of what it would have named.
            unasked = [each.name for each in sources if each.status != OK and each.kind in {kind, "manifests"}]
            unknown = any(each == "manifests" or changes.below(name, each) for each in unasked)
            return not unknown and all(source.name != name for source in sources)
    return False
