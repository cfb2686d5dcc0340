"""A verdict as text for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.drill.report import demands, words
from drkit.observe.text import columns, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.drill.verdict import Ledger, Series, Verdict

_PROBES = ("PROBE", "WINDOW", "LONGEST OUTAGE", "", "FAILED", "P50", "P99", "PREDICTED")
_FAULTS = ("FAULT", "TARGET", "SENT", "ACKNOWLEDGED", "OBSERVED", "UNDONE")


def of_verdict(made: Verdict) -> list[str]:
    """The lines that a drill ends with: the verdict first."""
    lines = [words.verdict(made), *(f"  because {printable(each)}" for each in _more_reasons(made))]
    lines += [printable(f"drill {made.run} on {made.cluster}: {made.title}"), ""]
    lines += columns(_PROBES, [_probe(each) for each in made.series])
    for part in (_faults(made), _happened(made), _where(made), _ledgers(made.ledgers), _notes(made.notes)):
        found = list(part)
        lines += ["", *found] if found else []
    return lines


def _more_reasons(made: Verdict) -> Sequence[str]:
    """The reasons, where the first line does not say them all."""
    return made.reasons if len(made.reasons) > 1 else ()


def _probe(series: Series) -> list[str]:
    return [
        printable(words.name(series)),
        words.window(series.window),
        words.length(words.longest(series)),
        words.by_how_much(series),
        words.failures(series),
        words.latency(series, series.latency_p50),
        words.latency(series, series.latency_p99),
        words.predicted(series),
    ]


def _faults(made: Verdict) -> Iterator[str]:
    if not made.faults:
        return
    origin = words.zero(made.faults)
    rows = [
        [printable(each.fault), printable(each.target)]
        + [words.moment(at, origin) for at in (each.sent, each.acknowledged, each.observed, each.undone)]
        for each in made.faults
    ]
    yield from columns(_FAULTS, rows)
    yield from (f"{printable(each.fault)}: {printable(each.said)}" for each in made.faults if each.said)


def _happened(made: Verdict) -> Iterator[str]:
    yield from (printable(words.happened(each)) for each in made.happened)
    for demand in demands.of(made):
        if demand.seconds is None and not demand.met:
            yield printable(f"not met: {demand.name}: {demand.said}")


def _where(made: Verdict) -> Iterator[str]:
    origin = words.zero(made.faults)
    rows = [
        list(
            map(
                printable,
                (words.name(each), part.name, words.moment(part.began, origin), f"{part.seconds:.1f} s", part.why),
            )
        )
        for each in made.series
        if (outage := words.longest(each)) is not None
        for part in outage.parts
    ]
    if rows:
        yield "where the seconds of the longest outages went:"
        yield from columns(("PROBE", "PART", "BEGAN", "TOOK", "SHOWN BY"), rows)


def _ledgers(ledgers: Sequence[Ledger]) -> Iterator[str]:
    for each in ledgers:
        yield f"writes of {printable(each.probe)}: {printable('; '.join(words.ledger(each)))}"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    yield from (f"note: {printable(each)}" for each in notes)
