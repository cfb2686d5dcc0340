"""From a record's entries to the verdict. Pure; how it decides is told in this package's docstring."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from drkit.drill.judge.collected import collect
from drkit.drill.judge.faults import faults
from drkit.drill.judge.finding import exceeded, invalid, length, note, weigh
from drkit.drill.judge.happened import happened, missed, promotions, rescheduled, unwatched
from drkit.drill.judge.ledger import ledgers, without
from drkit.drill.judge.outages import outages
from drkit.drill.judge.parts import explained
from drkit.drill.judge.patches import kept, patches
from drkit.drill.judge.series import series, wanted
from drkit.drill.judge.sights import sights
from drkit.drill.judge.soundness import of_run, of_series, shown
from drkit.drill.judge.windows import window
from drkit.drill.record import AFTER
from drkit.drill.values import CONTROL, CONTROL_PROBE, from_json
from drkit.drill.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drkit.drill.judge.collected import Collected
    from drkit.drill.judge.faults import Faults
    from drkit.drill.judge.finding import Finding
    from drkit.drill.judge.parts import Explained
    from drkit.drill.record import Entry
    from drkit.drill.values import Drill
    from drkit.drill.verdict import Series


def judge(entries: Iterable[Entry]) -> Verdict:
    """What a record comes to: the same for the same entries, in whatever order they come.

    Raises:
        ValueError: they are no record of a drill.
    """
    collected = collect(entries)
    begin, drill = collected.begin, _drill(collected)
    ended = collected.last if collected.end is None else collected.end.at
    met, seen = faults(drill, collected.phases), sights(begin, collected.events)
    promoted, moved = promotions(seen, met), rescheduled(drill, seen, met)
    found = happened(promoted, moved, met)
    checked, patched = ledgers(drill, collected), patches(collected.events)
    judged, findings = _series(drill, collected, met, explained(drill, seen, met), ended)
    findings = [
        *of_run(drill, collected, met),
        *findings,
        *_whole(drill, collected, met),
        *missed(drill, found),
        *unwatched(seen),
        *kept(drill, patched),
        *without(drill),
        *(finding for each in checked for finding in each.findings),
        *_stand_ins(begin.stand_ins),
    ]
    outcome, reasons, notes = weigh(findings)
    return Verdict(
        run=begin.run,
        scenario=drill.scenario,
        title=drill.title,
        cluster=begin.cluster,
        started=begin.started,
        outcome=outcome,
        reasons=reasons,
        notes=notes,
        faults=met.seen,
        happened=tuple(found),
        series=tuple(judged),
        ledgers=tuple(each.ledger for each in checked),
        ended=ended,
        expect=drill.expect,
        hold=drill.hold,
        patches=patched,
    )


def _drill(collected: Collected) -> Drill:
    """What was to be done, and the control probe."""
    drill = from_json(collected.begin.drill)
    try:
        possible = drill.needed >= 1 and all(each.every > 0 and each.timeout > 0 for each in drill.probes)
        possible = possible and all(each.window is None or each.window >= 0 for each in drill.probes)
    except TypeError:
        possible = False
    if not possible:
        raise ValueError("no drill: its probes' times cannot be")
    if any(each.kind == CONTROL for each in drill.probes):
        return drill
    return replace(drill, probes=(*drill.probes, CONTROL_PROBE))


def _series(
    drill: Drill, collected: Collected, met: Faults, why: Explained, ended: float
) -> tuple[list[Series], list[Finding]]:
    """All series, one at a time: the questions of only one of them are unpacked at once."""
    made: list[Series] = []
    findings: list[Finding] = []
    since = -math.inf if met.first is None else met.first
    against = shown(drill, collected, met, ended)
    expected = list(wanted(drill))
    for which in expected:
        packed = collected.questions.get((which.probe.name, which.session))
        questions = packed.in_order() if packed else []
        findings += of_series(which, questions, packed.why if packed else "", against)
        found = outages([each for each in questions if each.at > since], which.probe.every, drill.needed)
        found = [replace(each, parts=why.parts(each, which.probe.kind)) for each in found]
        predicted = None if which.session else collected.begin.predicted.get(which.probe.name)
        made.append(series(which, questions, found, predicted))
        findings += window(which.name, made[-1])
    known = {(each.probe.name, each.session) for each in expected}
    for name, session in sorted(collected.questions.keys() - known):
        findings.append(note(f"questions of {name}{' (session)' if session else ''} are not of this drill: left out"))
    return made, findings


def _whole(drill: Drill, collected: Collected, met: Faults) -> Iterator[Finding]:
    """Whether the cluster became whole again in time. That it did not is its doing: exceeded, and not invalid."""
    if met.undone is None:
        if met.first is not None:
            yield invalid("the fault was never undone: whether the cluster becomes whole again is not known")
        return
    since: float | None = None
    said, asked = "", False
    for each in collected.steady:
        if each.when == AFTER and each.at >= met.undone:
            asked, said = True, each.said
            since = (each.at if since is None else since) if each.holds else None
    if not asked:
        yield invalid("nothing says whether the cluster became whole again after the fault")
    elif since is None:
        yield exceeded(f"the cluster did not become whole again after the fault{f': {said}' if said else ''}")
    elif since - met.undone > drill.settle_seconds:
        yield exceeded(
            f"the cluster became whole again {length(since - met.undone)} after the fault was undone,"
            f" {length(drill.settle_seconds)} were allowed"
        )


def _stand_ins(stand_ins: Iterable[str]) -> Iterator[Finding]:
    names = ", ".join(stand_ins)
    if names:
        yield note(
            f"stand-ins: {names}: these windows neither prove nor refute what is claimed of the reference cluster"
        )
