"""What a drill demanded, one by one, and whether it was met: windows, what was to happen, what had to hold. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.drill.report import words
from drkit.drill.values import NOTHING_LOST, ONE_PRIMARY, PATCHES_KEPT

if TYPE_CHECKING:
    from drkit.drill.verdict import Ledger, Series, Verdict


@dataclass(frozen=True)
class Demand:
    """One demand.

    Attributes:
        name: what was demanded, in words.
        met: whether it was.
        said: what shows it.
        data: whether data was lost where it was not met.
        seconds: of a window: how long its probe was out.
    """

    name: str
    met: bool
    said: str
    data: bool = False
    seconds: float | None = None


def of(made: Verdict) -> list[Demand]:
    """All of them: windows first, in the order of the probes."""
    windows = [_window(each) for each in made.series if each.window is not None]
    return [*windows, *(_happens(each, made) for each in made.expect), *(_HOLDS[each](made) for each in made.hold)]


def _window(series: Series) -> Demand:
    name = f"{words.name(series)} within {words.window(series.window)}"
    said = f"{words.length(words.longest(series))}, {words.by_how_much(series)}"
    return Demand(name, (series.beyond or 0.0) <= 0, said, seconds=series.longest)


def _happens(what: str, made: Verdict) -> Demand:
    seen = [words.happened(each) for each in made.happened if each.what == what]
    return Demand(what, bool(seen), "; ".join(seen) or "it did not happen")


def _nothing_lost(made: Verdict) -> Demand:
    said = "; ".join(f"{each.probe}: {'; '.join(words.ledger(each))}" for each in made.ledgers)
    whole = not any(each.lost or each.unchecked for each in made.ledgers)
    return Demand(NOTHING_LOST, whole and bool(made.ledgers), said or "nothing was written", data=_lost(made.ledgers))


def _lost(ledgers: tuple[Ledger, ...]) -> bool:
    return any(each.lost for each in ledgers)


def _one_primary(made: Verdict) -> Demand:
    both = [each.two_primaries for each in made.ledgers if each.two_primaries]
    return Demand(ONE_PRIMARY, not both, "; ".join(both) or "no two acknowledged at once")


def _patches_kept(made: Verdict) -> Demand:
    seen = made.patches
    if seen is None or seen.said:
        return Demand(PATCHES_KEPT, met=False, said=(seen.said if seen else "") or "nothing says so")
    return Demand(PATCHES_KEPT, not seen.lost, seen.lost or f"{seen.before} of {seen.declared} were there, and are")


_HOLDS = {NOTHING_LOST: _nothing_lost, ONE_PRIMARY: _one_primary, PATCHES_KEPT: _patches_kept}
