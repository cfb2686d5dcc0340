"""What this machine remembers of drills: the newest verdict on each scenario."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from drkit.drill import history
from drkit.drill.verdict import EXCEEDED, KEPT, LOST, Verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def _verdict(scenario: str, hour: int, outcome: str) -> Verdict:
    begun = datetime(2026, 11, 22, hour, 45, tzinfo=UTC)
    return Verdict(
        run=history.run_name(scenario, begun),
        scenario=scenario,
        title="t",
        cluster="docfast",
        started=begun.isoformat(),
        outcome=outcome,
        reasons=(),
        notes=(),
        faults=(),
        happened=(),
        series=(),
        ledgers=(),
        ended=60.0,
    )


def test_the_newest_verdict_counts() -> None:
    """Of several runs of a scenario the last one is shown, whatever order they were judged in."""
    for scenario, hour, outcome in (("worker-down", 4, EXCEEDED), ("worker-down", 2, KEPT), ("coredns-gone", 3, LOST)):
        path = history.keep(_verdict(scenario, hour, outcome))
        assert path.parent == history.record_path("x").parent
    found = history.newest()
    assert {name: (each.outcome, each.run) for name, each in found.items()} == {
        "worker-down": (EXCEEDED, "20261122T044500Z-worker-down"),
        "coredns-gone": (LOST, "20261122T034500Z-coredns-gone"),
    }
    assert [each.outcome for each in history.past("worker-down")] == [EXCEEDED, KEPT]
    assert found["worker-down"].document["exit_code"] == 20


def test_a_run_is_judged_anew_in_its_place() -> None:
    """A record that is judged again has one verdict, not two."""
    history.keep(_verdict("worker-down", 2, KEPT))
    history.keep(_verdict("worker-down", 2, EXCEEDED))
    assert [each.outcome for each in history.past()] == [EXCEEDED]


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"outcome": 5}', "\udcff", "[" * 100_000])
def test_what_is_no_verdict_is_passed_over(text: str) -> None:
    """A file that was cut short, or that somebody else put there, hides no other run."""
    broken = history.keep(_verdict("worker-down", 4, KEPT))
    broken.write_text(text, encoding="utf-8", errors="surrogateescape")
    history.keep(_verdict("worker-down", 2, KEPT))
    (broken.parent / "notes.verdict.json").write_text('{"outcome": "kept"}', encoding="utf-8")
    assert [each.run for each in history.past()] == ["20261122T024500Z-worker-down"]
