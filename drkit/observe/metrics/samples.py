"""Samples from what is known. Pure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from drkit import __version__
from drkit.clock import from_text
from drkit.drill.verdict import EXIT_CODES
from drkit.observe.metrics.families import FAMILIES
from drkit.observe.standing.judge import AT_RISK, VERDICTS, WOULD_BE_LOST
from drkit.observe.text import printable
from drkit.points.descriptor import FAILED, OK, PARTIAL
from drkit.points.status import RESTORED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from drkit.drill.verdict import Verdict
    from drkit.observe.standing.judge import Standing
    from drkit.observe.standing.known import JobSeen, Known, RestoreSeen
    from drkit.points.status import SourceStatus

MOST = {"sources": 1000, "restores": 50, "drills": 100, "jobs": 100}
"""How many of each get samples: names come from the cluster, and no cluster may fill a Prometheus."""
_MOST_PROBES = 50
_LONGEST_LABEL = 200
_ANY = "any"
Thing = TypeVar("Thing")


class Sample(NamedTuple):
    """A value of a metric; labels in the order of its family's, without ``cluster``."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


def samples(standing: Standing) -> Iterator[Sample]:
    """All samples of where a cluster stands."""
    known = standing.known
    yield Sample("drkit_build_info", 1, (__version__,))
    yield Sample("drkit_collected_timestamp_seconds", known.now.timestamp())
    yield from _one_of("drkit_standing", VERDICTS, standing.verdict)
    for weight in (AT_RISK, WOULD_BE_LOST):
        yield Sample("drkit_findings", sum(each.weight == weight for each in standing.findings), (weight,))
    yield from _points(standing)
    for vault in known.vaults:
        yield Sample("drkit_vault_up", vault.answers, (vault.name,))
        if vault.answers:
            yield Sample("drkit_vault_points", vault.points, (vault.name,))
            yield Sample("drkit_vault_unsealed_archives", vault.unsealed, (vault.name,))
    sources = [each for each in known.status.sources if not each.gone and each.source not in standing.unknown]
    for source in islice(sources, MOST["sources"]):
        yield from _source(source, known, standing.limits[source.source])
    for restore in islice(known.restores, MOST["restores"]):
        yield from _restore(restore)
    for drill in islice(known.drills, MOST["drills"]):
        yield from _drill(drill)
    for job in islice(known.jobs, MOST["jobs"]):
        yield from _job(job)
    if known.escrow is not None:
        yield Sample("drkit_escrow_timestamp_seconds", _time(known.escrow.made) or 0)
        yield Sample("drkit_escrow_outdated", bool(known.escrow.newer))
    there: dict[str, Collection[object]] = {
        "sources": sources,
        "restores": known.restores,
        "drills": known.drills,
        "jobs": known.jobs,
    }
    for what, things in there.items():
        yield Sample("drkit_left_out", max(len(things) - MOST[what], 0), (what,))


def _points(standing: Standing) -> Iterator[Sample]:
    known = standing.known
    yield Sample("drkit_uncovered_volumes", len(known.status.volumes))
    if not any(each.answers for each in known.vaults):
        return  # nothing is known of them, and 0 would say that there are none
    yield Sample("drkit_points", len(known.points))
    yield Sample("drkit_points_incomplete", sum(not each.complete for each in known.points))
    if known.points:
        yield from _when("drkit_point_newest_timestamp_seconds", known.points[0].created)
        yield Sample("drkit_point_newest_complete", known.points[0].complete)
    for level, verified in ((_ANY, standing.verified), (RESTORED, standing.deep)):
        if verified is not None:
            yield from _when("drkit_point_verified_timestamp_seconds", verified.created, (level,))
        yield Sample("drkit_verification_timestamp_seconds", _time(verified.at if verified else None) or 0, (level,))


def _source(source: SourceStatus, known: Known, limit: float) -> Iterator[Sample]:
    labels = (_label(source.source), _label(source.kind), _label(source.vault))
    yield Sample("drkit_source_age_limit_seconds", limit, labels)
    yield Sample("drkit_source_copies", source.copies, labels)
    made = 0.0 if source.age is None else known.now.timestamp() - source.age
    yield Sample("drkit_source_last_success_timestamp_seconds", made, labels)
    yield Sample("drkit_source_proven_timestamp_seconds", _time(source.proven) or 0, labels)
    if source.point is not None:
        yield Sample("drkit_source_size_bytes", source.size, labels)
        yield Sample("drkit_source_added_bytes", source.added, labels)
    if source.seconds is not None:
        yield Sample("drkit_source_duration_seconds", source.seconds, labels)
    if source.result:
        yield from _one_of("drkit_source_result", (OK, PARTIAL, FAILED), source.result, labels)


def _restore(restore: RestoreSeen) -> Iterator[Sample]:
    labels = (_label(restore.target),)
    yield from _when("drkit_restore_timestamp_seconds", restore.started, labels)
    yield Sample("drkit_restore_success", restore.finished, labels)
    if restore.finished:
        yield Sample("drkit_restore_rto_seconds", restore.seconds, labels)
        if restore.oldest is not None:
            yield Sample("drkit_restore_rpo_seconds", restore.oldest, labels)


def _drill(drill: Verdict) -> Iterator[Sample]:
    scenario = _label(drill.scenario)
    yield from _when("drkit_drill_timestamp_seconds", drill.started, (scenario,))
    yield from _one_of("drkit_drill_outcome", tuple(EXIT_CODES), drill.outcome, (scenario,))
    lost = sum(len(each.lost) for each in drill.ledgers)
    yield Sample("drkit_drill_lost_writes", lost, (scenario,))
    longest: dict[str, float] = {}
    windows: dict[str, float] = {}
    for series in (each for each in drill.series if each.window is not None):
        # New connections and the long-lived one of a probe have one window: the longer outage is the probe's.
        longest[series.probe] = max(longest.get(series.probe, 0.0), series.longest)
        windows[series.probe] = series.window or 0.0
    for probe in islice(longest, _MOST_PROBES):
        yield Sample("drkit_drill_window_seconds", windows[probe], (scenario, _label(probe)))
        yield Sample("drkit_drill_outage_seconds", longest[probe], (scenario, _label(probe)))


def _job(job: JobSeen) -> Iterator[Sample]:
    labels = (_label(job.name), _label(job.kind))
    yield Sample("drkit_job_failing", job.failing, labels)
    yield Sample("drkit_job_last_success_timestamp_seconds", _time(job.succeeded) or 0, labels)
    if job.exit_code is not None:
        yield Sample("drkit_job_last_exit_code", job.exit_code, labels)
    for what, moment in (("last_start", job.began), ("last_end", job.ended), ("next_due", job.due)):
        if moment is not None:
            yield from _when(f"drkit_job_{what}_timestamp_seconds", moment, labels)


def _one_of(name: str, words: Iterable[str], holds: str, labels: tuple[str, ...] = ()) -> Iterator[Sample]:
    for word in words:
        yield Sample(name, word == holds, (*labels, word))


def _when(name: str, moment: str, labels: tuple[str, ...] = ()) -> Iterator[Sample]:
    """Nothing for what is no time: records are read back from a disk."""
    at = _time(moment)
    if at is not None:
        yield Sample(name, at, labels)


def _time(moment: str | None) -> float | None:
    try:
        return from_text(moment).timestamp() if moment else None
    except (ValueError, OverflowError):
        return None


def _label(text: str) -> str:
    """A name from outside as a label's value: printable, and no longer than a label needs to be."""
    return printable(text)[:_LONGEST_LABEL]


def distinct(found: Iterable[Sample]) -> list[Sample]:
    """The first of each name and labels: names that were cut may meet, and one that is there twice spoils all."""
    kept: dict[tuple[str, tuple[str, ...]], Sample] = {}
    for sample in found:
        if len(sample.labels) != len(FAMILIES[sample.name].labels):
            raise ValueError(f"{sample.name} has other labels than its family")
        kept.setdefault((sample.name, sample.labels), sample)
    return list(kept.values())
