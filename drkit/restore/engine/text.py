"""A report and a plan as text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.observe.text import age, columns, duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.restore.engine.estimate import Estimate
    from drkit.restore.engine.plan import Plan
    from drkit.restore.engine.report import Report

_CRITICAL = "*"


def of_plan(made: Plan, estimate: Estimate) -> list[str]:
    """The lines of ``--plan``."""
    mode = "" if made.mode == "databases" else f", mode {made.mode},"
    lines = [f"restore to {made.target}{mode} draws on:"]
    rows = [[printable(each.source), each.point, age(each.age)] for each in made.draws_on]
    lines += columns(["SOURCE", "POINT", "AGE"], rows)
    lines += [f"warning: {printable(warning)}" for warning in made.warnings]
    rows = [
        [
            str(number),
            printable(step.id),
            printable(step.title),
            duration(estimate.steps[step.id]) if step.id in estimate.steps else "?",
            printable(", ".join(step.needs)),
        ]
        for number, step in enumerate(made.steps, 1)
    ]
    lines += ["", "steps:", *columns(["", "STEP", "WHAT IT DOES", "ESTIMATE", "AFTER"], rows), ""]
    return [*lines, _whole(estimate)]


def _whole(estimate: Estimate) -> str:
    if not estimate.steps:
        return "estimate: none; this machine has not done such a restore yet"
    least = "at least " if estimate.unknown else ""
    never = f"; never done here: {', '.join(estimate.unknown)}" if estimate.unknown else ""
    return f"estimate: {least}{duration(estimate.seconds)}, by earlier restores on this machine{never}"


def of_report(report: Report) -> list[str]:
    """The lines that a restore ends with."""
    rows = [
        [
            printable(step.id),
            _CRITICAL if step.id in report.critical.steps else "",
            f"{step.began:.1f} s",
            f"{step.seconds:.1f} s",
            printable(step.title),
        ]
        for step in report.steps
    ]
    return [*columns(["STEP", "", "BEGAN", "TOOK", "WHAT IT DID"], rows), *_remarks(report), _end(report)]


def _remarks(report: Report) -> Iterator[str]:
    if report.critical.steps:
        yield f"{_CRITICAL} the longest chain of steps took {duration(report.critical.seconds)}"
    if len(report.attempts) > 1:
        spans = (f"{duration(each.seconds)} ({each.status})" for each in report.attempts)
        yield f"in {len(report.attempts)} attempts: {', '.join(spans)}"
    if report.roles_made:
        yield f"roles made: {', '.join(map(printable, report.roles_made))}"
    # The plan's own warnings were told at the beginning.
    for warning in report.warnings[len(report.plan.warnings) :]:
        yield f"warning: {printable(warning)}"
    for note in report.notes:
        yield f"note: {printable(note)}"
    for text in report.reissue:
        yield f"to be reissued: {printable(text)}"
    for record in report.old_records:
        yield f"old record, for going back: {printable(str(record))}"


def _end(report: Report) -> str:
    if not report.finished:
        return f"not restored: {report.attempts[-1].status} after {duration(report.seconds)}"
    return f"restored to {report.plan.target} in {report.seconds:.1f} s; every proof is equal"
