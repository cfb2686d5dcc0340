"""Could this cluster be lost right now? The judgement, from what is known. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from drkit.clock import from_text, to_text
from drkit.cluster.volumes import shown
from drkit.drill.verdict import EXCEEDED, INVALID, LOST
from drkit.observe.standing import limits
from drkit.observe.text import age
from drkit.points.select import group
from drkit.points.status import RESTORED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from drkit.observe.standing.known import JobSeen, Known, PointSeen

SAFE, AT_RISK, WOULD_BE_LOST = "safe", "at risk", "would be lost"
VERDICTS = (SAFE, AT_RISK, WOULD_BE_LOST)
NOTE = "note"
"""Worth knowing, and no reason for a worse verdict."""
_LONG_AGO = 1e9


@dataclass(frozen=True)
class Finding:
    """One reason for the verdict.

    Attributes:
        key: names it for good, so that it is known again: ``source/database/shop``.
        weight: ``note``, ``at risk`` or ``would be lost``.
        text: one sentence.
        hint: what to do next.
        overdue: whether it is that something did not come.
    """

    key: str
    weight: str
    text: str
    hint: str
    overdue: bool = False


class Verified(NamedTuple):
    """The newest point of those that were verified so deeply, and when the last such verification was (UTC)."""

    point: str
    created: str
    at: str


@dataclass(frozen=True)
class Standing:
    """Where a cluster stands.

    Attributes:
        verdict: ``safe``, ``at risk`` or ``would be lost``: as bad as the worst finding.
        findings: the worst first.
        limits: for each source, how old its newest whole backup may be, seconds.
        verified: the last verification of any kind; ``deep``: the last one that restored.
        unknown: sources of which only a vault that does not answer could tell.
    """

    known: Known
    verdict: str
    findings: tuple[Finding, ...]
    limits: Mapping[str, float]
    verified: Verified | None
    deep: Verified | None
    unknown: frozenset[str] = frozenset()

    @property
    def why(self) -> tuple[str, ...]:
        """What speaks against ``safe``, one sentence each."""
        return tuple(each.text for each in self.findings if each.weight != NOTE)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        known = self.known
        document = known.status.as_json()
        for source in document["sources"]:
            source["age_limit"] = round(self.limits[source["source"]])
        return {
            "verdict": self.verdict,
            "why": list(self.why),
            "at": to_text(known.now),
            **document,
            "findings": [asdict(each) for each in self.findings],
            "vaults": [asdict(each) for each in known.vaults],
            "verified": None if self.verified is None else self.verified._asdict(),
            "verified_by_a_restore": None if self.deep is None else self.deep._asdict(),
            "drills": [
                {"scenario": each.scenario, "outcome": each.outcome, "started": each.started, "run": each.run}
                for each in known.drills
            ],
            "restores": [asdict(each) for each in known.restores],
            "jobs": [asdict(each) for each in known.jobs],
            "escrow": None if known.escrow is None else asdict(known.escrow),
        }


def judge(known: Known) -> Standing:
    """Judge what is known."""
    every = {each.name: each.every for each in known.vaults}
    bounds = {
        each.source: limits.allowed(every.get(group(each.kind)), limits.UNSCHEDULED_SECONDS)
        for each in known.status.sources
    }
    verified = _newest([each for each in known.points if each.level])
    deep = _newest([each for each in known.points if each.level == RESTORED])
    unknown = _unknown(known)
    found = [*_vaults(known), *_sources(known, bounds, unknown), *_points(known), *_proof(known, deep), *_rest(known)]
    order = (WOULD_BE_LOST, AT_RISK, NOTE)
    found.sort(key=lambda each: order.index(each.weight))
    verdict = found[0].weight if found and found[0].weight != NOTE else SAFE
    return Standing(known, verdict, tuple(found), bounds, verified, deep, unknown)


def _newest(points: list[PointSeen]) -> Verified | None:
    if not points:
        return None
    newest = max(points, key=lambda each: each.created)
    return Verified(newest.id, newest.created, max(each.at for each in points))


def _vaults(known: Known) -> Iterator[Finding]:
    silent = [each for each in known.vaults if not each.answers]
    if silent and len(silent) == len(known.vaults):
        said = "; ".join(f"{each.name}: {each.error}" for each in silent)
        yield Finding("vaults", WOULD_BE_LOST, f"no vault can be read: {said}", "drkit check")
        return
    for each in silent:
        yield Finding(
            f"vault/{each.name}", AT_RISK, f"the vault {each.name} cannot be read: {each.error}", "drkit check"
        )
    if not known.points:
        yield Finding("points", WOULD_BE_LOST, "there is no recovery point", "make one: drkit backup")


def _unknown(known: Known) -> frozenset[str]:
    silent = {each.name for each in known.vaults if not each.answers}
    return frozenset(
        each.source for each in known.status.sources if each.age is None and (each.vault or group(each.kind)) in silent
    )


def _sources(known: Known, bounds: Mapping[str, float], unknown: Collection[str]) -> Iterator[Finding]:
    for each in known.status.sources:
        key = f"source/{each.source}"
        if each.source in unknown:
            continue
        if each.gone:
            yield Finding(
                key, NOTE, f"{each.source} is not there any more; its backups stay as retention says", "drkit points"
            )
        elif each.age is None:
            said = f": {each.error}" if each.error else ""
            yield Finding(key, WOULD_BE_LOST, f"{each.source} was never backed up whole{said}", "drkit backup")
        elif each.age > bounds[each.source]:
            allowed = age(bounds[each.source])
            said = f"; the last run failed: {each.error}" if each.error else ""
            text = f"the newest whole backup of {each.source} is {age(each.age)} old; {allowed} is allowed{said}"
            yield Finding(key, AT_RISK, text, "drkit backup; what keeps it from running: drkit check", overdue=True)
        elif each.result and each.result != "ok":
            text = f"the last run could not back up {each.source} whole: {each.error or each.result}"
            yield Finding(key, AT_RISK, text, "drkit check; then drkit backup")


def _points(known: Known) -> Iterator[Finding]:
    silent = {each.error for each in known.vaults if not each.answers}
    for number, problem in enumerate(known.status.problems):
        if problem not in silent and not _told_elsewhere(problem, known):
            yield Finding(f"problem/{number}", AT_RISK, problem, "drkit verify")
    for volume in known.status.volumes:
        name = f"{volume['namespace']}/{volume['claim']}"
        text = f"no source has the data of the volume {shown(volume)}"
        yield Finding(f"volume/{name}", AT_RISK, text, "its data would be lost with its node: keep a copy elsewhere")


def _told_elsewhere(problem: str, known: Known) -> bool:
    """Debris goes with the next run, and what an incomplete point lacks is told of each source."""
    lacks = any(each.result not in {"", "ok"} for each in known.status.sources)
    return problem.endswith("archives of runs that never sealed") or (problem.endswith("is incomplete") and lacks)


def _proof(known: Known, deep: Verified | None) -> Iterator[Finding]:
    if not known.points:
        return
    between = min((each.every for each in known.jobs if each.kind == "verify-deep" and each.every), default=None)
    bound = limits.allowed(between, limits.PROOF_SECONDS)
    if deep is None:
        yield Finding("proof", AT_RISK, "no backup was ever proven by a restore", "drkit verify --deep")
    elif (old := _since(known.now, deep.at)) > bound:
        text = f"the last proof by a restore is {age(old)} old; {age(bound)} is allowed"
        yield Finding("proof", AT_RISK, text, "drkit verify --deep", overdue=True)
    else:
        for each in known.status.sources:
            if each.age is not None and not each.gone and each.proven is None:
                text = f"no copy of {each.source} was ever proven by a restore"
                yield Finding(f"proof/{each.source}", AT_RISK, text, "drkit verify --deep")


def _rest(known: Known) -> Iterator[Finding]:
    for job in known.jobs:
        yield from _job(known.now, job)
    for drill in known.drills:
        text, hint = f"the last drill {drill.scenario} ", f"drkit drill report; drkit drill run {drill.scenario}"
        if drill.outcome == LOST:
            yield Finding(f"drill/{drill.scenario}", AT_RISK, f"{text}lost acknowledged writes", hint)
        elif drill.outcome in {EXCEEDED, INVALID}:
            said = "exceeded its window" if drill.outcome == EXCEEDED else "proved nothing"
            yield Finding(f"drill/{drill.scenario}", NOTE, text + said, hint)
    for restore in known.restores:
        if not restore.finished:
            text = f"the last restore to {restore.target} ({restore.started}) did not come to its end"
            yield Finding(f"restore/{restore.target}", NOTE, text, f"drkit restore --to {restore.target} --resume")
    if known.escrow is not None:
        if known.escrow.made is None:
            text = "there is no escrow bundle: whoever loses this machine cannot open the vaults"
            yield Finding("escrow", AT_RISK, text, "drkit keys export")
        elif known.escrow.newer:
            text = f"the escrow bundle is older than {', '.join(known.escrow.newer)}"
            yield Finding("escrow", AT_RISK, text, "drkit keys export")


def _job(now: datetime, job: JobSeen) -> Iterator[Finding]:
    if job.failing:
        said = f": {job.summary}" if job.summary else ""
        yield Finding(f"job/{job.name}", AT_RISK, f"the job {job.name} fails{said}", "drkit schedule show")
    elif job.due is not None and (late := _since(now, job.due)) > limits.LATE_SECONDS:
        text = f"the job {job.name} should have run {age(late)} ago"
        hint = "does the scheduler run? drkit schedule show"
        yield Finding(f"job/{job.name}/missed", AT_RISK, text, hint, overdue=True)


def _since(now: datetime, moment: str) -> float:
    """Seconds since a time that somebody else wrote down; what is no time was never."""
    try:
        return (now - from_text(moment)).total_seconds()
    except ValueError:
        return _LONG_AGO
