"""The terminal's report: the verdict in the first line, every figure below, and nothing that moves the cursor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.report import suite, text, words
from drkit.drill.report.suite import Total, Unrun
from drkit.drill.verdict import EXCEEDED, INVALID, KEPT, LOST
from tests.unit.drill.report import example

if TYPE_CHECKING:
    from drkit.drill.verdict import Verdict

_NONE = "none of 1262 acknowledged writes lost"
EVIL = "<script>alert(1)</script>&\x1b[2J\r\n"


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (
            example.kept(),
            f"kept: every window, closest page/docfast.example, out for 14.2 ± 0.1 s of 15 s; {_NONE}",
        ),
        (
            example.exceeded(),
            f"exceeded: page/docfast.example was out for 14.2 ± 0.1 s, 4.2 s more than its window of 10 s; {_NONE}",
        ),
        (example.lost(), "lost: 3 of 1262 acknowledged writes of sql-write/main-db (rows 120–122)"),
        (
            example.invalid(),
            "invalid: power-off of k3s-w2 could not be confirmed, and 1 more reason",
        ),
    ],
)
def test_the_first_line_says_it_all(made: Verdict, first: str) -> None:
    """Kept by what, exceeded by how much, how many lost, invalid why: whoever reads one line knows."""
    assert text.of_verdict(made)[0] == first


def test_every_figure_is_there() -> None:
    """Windows, faults, what happened, where the seconds went, the ledger and the notes follow, each once."""
    lines = text.of_verdict(example.kept())
    squeezed = [" ".join(line.split()) for line in lines]
    assert "page/docfast.example 15 s 14.2 ± 0.1 s kept by 0.8 s 77 of 1500 17 ms 23 ms 17.0 ± 5.0 s" in squeezed
    assert "control – no outage not judged 0 of 750 17 ms 23 ms –" in squeezed
    assert "power-off k3s-w2 +0.0 s +0.4 s +1.2 s +65.0 s" in squeezed
    assert "main-db-2 promoted 17.9 s after the fault" in squeezed
    assert "sql-write/main-db promotion +16.1 s 1.8 s main-db-2 promoted" in squeezed
    assert (
        "writes of sql-write/main-db: 1262 acknowledged, 228 failed, 10 unknown (2 of them done); none lost" in squeezed
    )
    assert any(line.startswith("note: CloudNativePG is a stand-in") for line in lines)


def test_what_was_expected_and_did_not_happen_is_said() -> None:
    """A promotion that nobody saw is named, though no window was exceeded."""
    made = replace(example.kept(), happened=(), outcome=EXCEEDED, reasons=("nobody was promoted.",))
    lines = text.of_verdict(made)
    assert lines[0] == "exceeded: nobody was promoted"
    assert "not met: promoted: it did not happen" in lines


def test_unchecked_writes_are_not_called_kept() -> None:
    """Where an instance could not be asked, no line says that nothing was lost."""
    made = example.kept()
    ledger = replace(made.ledgers[0], unchecked=("main-db-1",))
    assert "none of" not in words.verdict(replace(made, ledgers=(ledger,)))


def test_what_servers_say_cannot_move_the_cursor() -> None:
    """Control characters in names and answers are shown as such, in every line."""
    made = example.kept()
    series = (replace(made.series[0], probe=EVIL, where=EVIL), *made.series[1:])
    faults = (replace(made.faults[0], target=EVIL, said=EVIL),)
    happened = (replace(made.happened[0], who=EVIL),)
    evil = replace(made, title=EVIL, series=series, faults=faults, happened=happened, notes=(EVIL,), cluster=EVIL)
    total = Total(EVIL, (evil,), (Unrun(EVIL, EVIL),))
    for line in (*text.of_verdict(evil), *suite.text(total)):
        assert line.isprintable()


@given(st.sets(st.integers(0, 200)))
def test_rows_are_told_whole(rows: set[int]) -> None:
    """Ranges and the rest that is only counted come to as many rows as there are."""
    said = words.rows(sorted(rows))
    shown, _, left = said.partition(" and ")
    named = 0
    for each in filter(None, shown.split(", ")):
        first, _, last = each.partition("–")
        named += int(last or first) - int(first) + 1
    assert named + int(left.removesuffix(" more") or 0) == len(rows)


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ((KEPT, KEPT), KEPT),
        ((KEPT, EXCEEDED), EXCEEDED),
        ((INVALID, EXCEEDED), INVALID),
        ((LOST, INVALID, KEPT), LOST),
        ((), INVALID),
    ],
)
def test_the_worst_verdict_is_the_total(outcomes: tuple[str, ...], worst: str) -> None:
    """Lost writes are worse than a run that proves nothing, and that is worse than a window exceeded."""
    total = Total("nightly", tuple(replace(example.kept(), outcome=each) for each in outcomes))
    assert total.outcome == worst
    assert suite.text(total)[0].startswith(f"{worst}: suite nightly, {len(outcomes)} drills")


def test_a_scenario_that_was_not_run_proves_nothing() -> None:
    """A suite of which one scenario was refused is invalid, and says which and why."""
    total = Total("nightly", (example.kept(),), (Unrun("disk-full", "no verified backup"),))
    assert (total.outcome, total.exit_code) == (INVALID, 22)
    assert total.as_json()["unrun"] == [{"scenario": "disk-full", "why": "no verified backup"}]
    assert any(
        line.split() == ["disk-full", "not", "run", "–", "no", "verified", "backup"] for line in suite.text(total)
    )
