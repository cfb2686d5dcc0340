"""A report as one HTML page that needs nothing else: no script, no font, nothing from elsewhere. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drkit.observe.page import document, facts, remarks, table
from drkit.observe.progress import size
from drkit.observe.text import age, duration
from drkit.restore.engine.waterfall import OTHER, svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from drkit.restore.engine.report import Report

_STYLE = Path(__file__).with_name("page.css")


def html(report: Report, kinds: Mapping[str, str]) -> str:
    """The page.

    Args:
        report: of the restore.
        kinds: of its actions, by name: they give the bars their colours.
    """
    title, foot = f"Restore to {report.plan.target}", f"drkit, restore {report.restore}"
    return document(title, _STYLE, _Page(report, kinds).body(), foot)


class _Page:
    def __init__(self, report: Report, kinds: Mapping[str, str]) -> None:
        self._report, self._kinds = report, kinds

    def body(self) -> Iterator[str]:
        yield from self._head()
        yield from self._picture()
        yield from self._remarks()
        yield from self._tables()

    def _head(self) -> Iterator[str]:
        report = self._report
        if report.finished:
            yield '<p class="state good">Restored; every proof is equal.</p>'
        else:
            yield f'<p class="state bad">Not restored: {report.attempts[-1].status}.</p>'
        yield facts(
            (
                ("RTO, measured" if report.finished else "so far", duration(report.seconds), ""),
                ("longest chain of steps", duration(report.critical.seconds), ""),
                ("attempts", str(len(report.attempts)), ""),
                ("mode", report.plan.mode, ""),
                ("began", report.started, "small"),
                ("newest recovery point", report.point, "small"),
            )
        )

    def _picture(self) -> Iterator[str]:
        report = self._report
        yield '<h2>Where the time went</h2>\n<figure>\n<div class="scroll" tabindex="0">'
        yield svg(report, self._kinds)
        yield '</div>\n<figcaption><ul class="legend">'
        runs = (*report.steps, *report.cut_short)
        there = {self._kinds.get(run.action, OTHER) for run in runs}
        for kind in (each for each in (*dict.fromkeys(self._kinds.values()), OTHER) if each in there):
            yield f'<li><i class="{kind}"></i>{kind}</li>'
        yield '<li><i class="critical"></i>◆ on the longest chain of steps</li>'
        if report.cut_short:
            yield '<li><i class="hatched"></i>cut short</li>'
        yield "</ul></figcaption>\n</figure>"

    def _remarks(self) -> Iterator[str]:
        report = self._report
        records = [str(each) for each in report.old_records]
        for heading, look, said in (
            ("Warnings", "warning", report.warnings),
            ("To be reissued: what outside depends on the cluster", "", report.reissue),
            ("Old DNS records, for going back", "", records),
            ("Notes", "", report.notes),
            ("Roles made", "", report.roles_made),
        ):
            yield from remarks(heading, said, look)

    def _tables(self) -> Iterator[str]:
        report = self._report
        drawn = [(each.source, each.point, age(each.age), size(each.size)) for each in report.plan.draws_on]
        yield from table("Drawn on", (("source", 0), ("recovery point", 0), ("age", 1), ("size", 1)), drawn)
        runs = sorted((*report.steps, *report.cut_short), key=lambda run: run.began)
        steps = [
            (
                f"{'◆ ' if run.id in report.critical.steps else ''}{run.id}",
                run.title,
                run.status + (f": {run.error}" if run.error else ""),
                f"{run.began:.1f} s",
                duration(run.seconds),
            )
            for run in runs
        ]
        yield from table("Steps", (("step", 0), ("what it does", 0), ("status", 0), ("began", 1), ("took", 1)), steps)
        if len(report.attempts) > 1:
            tried = [
                (str(each.number), each.started, each.status, f"{each.began:.1f} s", duration(each.seconds))
                for each in report.attempts
            ]
            headings = (("attempt", 0), ("began at", 0), ("ended", 0), ("after", 1), ("took", 1))
            yield from table("Attempts", headings, tried)
