"""A verdict as one HTML page that needs nothing else: no script, no font, nothing from elsewhere. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.drill.record import NEW_PRIMARY, Begin, Event
from drkit.drill.report import demands, parts, timeline, words
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST
from drkit.observe.page import document, facts, remarks, table
from drkit.observe.text import duration, markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from drkit.drill.record import Entry
    from drkit.drill.verdict import Verdict

_STYLE = Path(__file__).with_name("page.css")
LOOKS = {KEPT: "good", EXCEEDED: "bad", LOST: "bad", INVALID: "warning"}


def html(made: Verdict, entries: Sequence[Entry]) -> str:
    """The page.

    Args:
        made: the verdict.
        entries: of the record that it was made of, for the pictures.
    """
    return document(made.title, _STYLE, _Page(made, entries).body(), f"drkit, drill {made.run}")


class _Page:
    def __init__(self, made: Verdict, entries: Sequence[Entry]) -> None:
        self._made, self._entries = made, entries
        self._origin = words.zero(made.faults)
        predicted: Mapping[str, Any] = next((each.predicted for each in entries if isinstance(each, Begin)), {})
        self._splits = parts.of(made, predicted)

    def body(self) -> Iterator[str]:
        yield from self._head()
        yield from self._timeline()
        yield from self._windows()
        yield from self._parts()
        yield from self._demands()
        yield from self._faults()
        yield from self._ledgers()
        yield from remarks("Notes", self._made.notes)
        yield from self._events()

    def _head(self) -> Iterator[str]:
        made = self._made
        outcome, _, said = words.verdict(made).partition(": ")
        shown = f"<strong>{markup(outcome)}</strong> <span>{markup(said)}</span>"
        yield f'<p class="verdict {LOOKS[made.outcome]}">{shown}</p>'
        if len(made.reasons) > 1:
            reasons = "".join(f"<li>{markup(each)}</li>" for each in made.reasons)
            yield f'<ul class="remarks">{reasons}</ul>'
        faults = ", then ".join(f"{each.fault} {each.target}" for each in made.faults) or words.NOTHING
        yield facts(
            (
                ("scenario", made.scenario, "small"),
                ("fault", faults, "small"),
                ("cluster", made.cluster, "small"),
                ("began", f"{made.started[:19].replace('T', ' ')} UTC", "small"),
                ("took", duration(made.ended), "small"),
                ("questions asked", str(sum(each.sent for each in made.series)), "small"),
            )
        )

    def _timeline(self) -> Iterator[str]:
        yield '<h2>What the probes saw</h2>\n<figure>\n<div class="scroll" tabindex="0">'
        yield timeline.svg(self._made, self._entries)
        yield '</div>\n<figcaption><ul class="legend">'
        outcomes = {each.outcome for each in self._entries if hasattr(each, "outcome")}
        for outcome in (each for each in ("ok", "unknown", "failed") if each in outcomes):
            yield f'<li><i class="{outcome}"></i>{outcome}</li>'
        yield '<li><i class="latency"></i>latency (1 ms to 10 s, logarithmic)</li>'
        if any(each.outages for each in self._made.series):
            yield '<li><i class="outage"></i>out</li><li><i class="within"></i>within its window</li>'
            yield '<li><i class="beyond"></i>beyond it</li><li><i class="window"></i>the window</li>'
        if any(isinstance(each, Event) and each.what == NEW_PRIMARY for each in self._entries):
            yield '<li><i class="promotion"></i>promoted</li>'
        yield '<li><i class="fault"></i>fault, from ▸ sent and ◆ observed to ■ undone</li>'
        yield "</ul></figcaption>\n</figure>"

    def _windows(self) -> Iterator[str]:
        headings = (
            ("probe", 0),
            ("window", 1),
            ("longest outage", 1),
            ("", 1),
            ("predicted", 1),
            ("failed", 1),
        )
        rows = [
            (
                words.name(each),
                words.window(each.window),
                words.length(words.longest(each)),
                words.by_how_much(each),
                words.predicted(each),
                words.failures(each),
                words.latency(each, each.latency_p50),
                words.latency(each, each.latency_p99),
            )
            for each in self._made.series
        ]
        yield from table("Windows", (*headings, ("p50", 1), ("p99", 1)), rows)

    def _parts(self) -> Iterator[str]:
        if not self._splits:
            return
        yield '<h2>Where the seconds went</h2>\n<figure>\n<div class="scroll" tabindex="0">'
        yield parts.svg(self._splits)
        yield '</div>\n<figcaption><ul class="legend">'
        pieces = (piece for split in self._splits for piece in (*split.measured, *split.predicted))
        for look, name in sorted({(parts.look(piece.name), piece.name) for piece in pieces if piece.name}):
            yield f'<li><i class="{look}"></i>{markup(name)}</li>'
        yield "</ul></figcaption>\n</figure>"
        rows = [
            (words.name(split.series), piece.name, f"{piece.ended - piece.began:.1f} s", piece.why)
            for split in self._splits
            for piece in split.measured
        ]
        yield from table(
            "Parts of the longest outages", (("probe", 0), ("part", 0), ("took", 1), ("shown by", 0)), rows
        )

    def _demands(self) -> Iterator[str]:
        rows = [
            (demand.name, "yes" if demand.met else "no", demand.said)
            for demand in demands.of(self._made)
            if demand.seconds is None
        ]
        if rows:
            yield from table("What had to happen and to hold", (("what", 0), ("met", 0), ("shown by", 0)), rows)
        elif self._made.happened:
            yield from remarks("What happened", [words.happened(each) for each in self._made.happened])

    def _faults(self) -> Iterator[str]:
        rows = [
            (
                each.fault,
                each.target,
                *(words.moment(at, self._origin) for at in (each.sent, each.acknowledged, each.observed, each.undone)),
                each.said,
            )
            for each in self._made.faults
        ]
        moments = (("sent", 1), ("acknowledged", 1), ("observed", 1), ("undone", 1))
        yield from table("Faults", (("fault", 0), ("target", 0), *moments, ("said", 0)), rows)

    def _ledgers(self) -> Iterator[str]:
        rows = [(each.probe, "; ".join(words.ledger(each))) for each in self._made.ledgers]
        if rows:
            yield from table("Ledger of writes", (("probe", 0), ("what became of them", 0)), rows)

    def _events(self) -> Iterator[str]:
        events = [each for each in self._entries if isinstance(each, Event)]
        rows = [
            (
                words.moment(each.at, self._origin),
                each.who,
                each.what,
                ", ".join(f"{key} {value}" for key, value in each.more.items()),
            )
            for each in sorted(events, key=lambda event: event.at)
        ]
        if rows:
            yield f"<details><summary>All {len(rows)} events that were seen in the cluster</summary>"
            yield from table("Events", (("after the fault", 1), ("who", 0), ("what", 0), ("more", 0)), rows)
            yield "</details>"
