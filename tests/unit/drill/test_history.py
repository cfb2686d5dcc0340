"""What this machine remembers of drills: the newest verdict on each scenario."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from drkit.drill import history
from drkit.drill.history import Past
from drkit.state import write_durably

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def _judged(scenario: str, hour: int, outcome: str) -> Path:
    begun = datetime(2026, 11, 22, hour, 45, tzinfo=UTC)
    run = history.run_name(scenario, begun)
    path = history.record_path(run).with_name(f"{run}.verdict.json")
    write_durably(path, json.dumps({"outcome": outcome, "started": begun.isoformat(), "cluster": "docfast"}))
    return path


def test_the_newest_verdict_counts() -> None:
    """Of several runs of a scenario the last one is shown, whatever order they were judged in."""
    _judged("worker-down", 4, "exceeded")
    _judged("worker-down", 2, "kept")
    _judged("coredns-gone", 3, "lost")
    began = "2026-11-22T04:45:00+00:00"
    found = history.newest()
    assert found["worker-down"] == Past("20261122T044500Z-worker-down", "docfast", began, "exceeded")
    assert {name: each.outcome for name, each in found.items()} == {"worker-down": "exceeded", "coredns-gone": "lost"}


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"outcome": 5}', "\udcff", "[" * 100_000])
def test_what_is_no_verdict_is_passed_over(text: str) -> None:
    """A file that was cut short, or that somebody else put there, hides no other run."""
    broken = _judged("worker-down", 4, "kept")
    broken.write_text(text, encoding="utf-8", errors="surrogateescape")
    (broken.parent / "notes.verdict.json").write_text('{"outcome": "kept"}', encoding="utf-8")
    _judged("worker-down", 2, "kept")
    assert [each.run for each in history.newest().values()] == ["20261122T024500Z-worker-down"]
