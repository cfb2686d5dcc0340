"""Trends and files: the last valid runs count, and what was written is read back as it was."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill import record
from drkit.drill.judge.judge import judge
from drkit.drill.report import demands, files, trend, trend_page, words
from drkit.drill.report.suite import Total
from drkit.drill.verdict import INVALID, KEPT, Verdict
from tests import pages
from tests.unit.drill import records
from tests.unit.drill.report import example
from tests.unit.drill.report.test_page import MEASURE
from tests.unit.drill.report.test_text import EVIL

if TYPE_CHECKING:
    from pathlib import Path


def _run(number: int, seconds: float, *, valid: bool = True) -> Verdict:
    made = example.kept()
    out = replace(made.series[0].outages[0], seconds=seconds)
    page = replace(made.series[0], outages=(out,), longest=seconds, beyond=seconds - 15)
    started = f"2026-11-22T02:45:00.{number:03}Z"
    outcome = KEPT if valid else INVALID
    return replace(made, run=f"run-{number}", started=started, outcome=outcome, series=(page, *made.series[1:]))


@given(st.lists(st.tuples(st.floats(0.1, 100), st.booleans()), min_size=1, max_size=12), st.randoms())
def test_median_and_worst_are_of_the_last_valid_runs(runs: list[tuple[float, bool]], random: object) -> None:
    """Whatever order the verdicts are found in, the newest five that prove something count, and no others."""
    verdicts = [_run(number, seconds, valid=valid) for number, (seconds, valid) in enumerate(runs)]
    random.shuffle(verdicts)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    line = trend.of(example.SCENARIO, verdicts).lines[0]
    counted = [seconds for seconds, valid in runs if valid][-5:]
    assert line.of == len(counted)
    assert line.median == (median(counted) if counted else None)
    assert line.worst == max(counted, default=None)
    assert [each.seconds for each in line.points] == [seconds for seconds, _ in runs]


def test_other_scenarios_and_unjudged_probes_are_left_out() -> None:
    """A trend is of one scenario, and of the probes that have a window."""
    made = trend.of(example.SCENARIO, [*example.month(), replace(example.kept(), scenario="another")])
    assert len(made.runs) == 13
    assert [line.probe for line in made.lines] == [
        "page/docfast.example",
        "sql-write/main-db",
        "sql-write/main-db (session)",
        "kube-api/k3s-mgr",
    ]
    assert trend.text(trend.of("another", [])) == ["another: no run of it has a verdict here"]


def test_a_terminal_shows_each_run() -> None:
    """A row for each run, then median, worst and window."""
    lines = [" ".join(line.split()) for line in trend.text(trend.of(example.SCENARIO, example.month()))]
    assert lines[0].startswith("worker-with-primary-down: 13 runs: 10 kept, 2 exceeded, 1 invalid")
    assert any("exceeded 31.0 ± 0.1 s exceeded 52.7 ± 0.2 s exceeded 23.8 ± 0.2 s no outage" in line for line in lines)
    assert lines[-3:-1] == ["median 13.1 s 22.3 s 23.8 s 0.0 s", "worst 14.9 s 25.3 s 23.8 s 0.0 s"]


def test_a_trend_has_a_page() -> None:
    """It needs nothing else, and names are text."""
    verdicts = [*example.month(), replace(example.kept(), run=EVIL, started=EVIL)]
    series = tuple(replace(each, probe=f"{each.probe}{EVIL}") for each in verdicts[-1].series)
    html = trend_page.html(trend.of(example.SCENARIO, [*verdicts, replace(verdicts[-1], series=series)]))
    assert "\x1b" not in html
    assert any("<script>alert(1)</script>&" in data for data in pages.self_contained(html).shown)


@pages.browser_needed
@pytest.mark.parametrize(("nights", "width"), [(1, 1280), (13, 820), (130, 1280)])
def test_a_browser_shows_a_trend_so(tmp_path: Path, width: int, nights: int) -> None:
    """One run or many: no text meets another, nothing leaves its picture or the page."""
    verdicts = (example.month() * 10)[:nights]
    verdicts = [
        replace(made, run=f"{made.run}-{number}", started=f"2026-{1 + number // 28:02}-{1 + number % 28:02}T02:45:00Z")
        for number, made in enumerate(verdicts)
    ]
    said = pages.measured(trend_page.html(trend.of(example.SCENARIO, verdicts)), MEASURE, width, tmp_path)
    assert said.pop("texts") > 20
    assert said == {"doubled": [], "outside": [], "unseen": [], "wide": False, "cut": []}


def test_reports_lie_beside_the_record(tmp_path: Path) -> None:
    """Verdict, page and JUnit XML are written for their owner alone, and the verdict is read back as it was."""
    path = tmp_path / f"{example.RUN}.jsonl"
    path.write_bytes(b"".join(map(record.to_line, example.entries())))
    made = example.lost()
    written = files.write(path, made)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"{example.RUN}.html",
        f"{example.RUN}.jsonl",
        f"{example.RUN}.junit.xml",
        f"{example.RUN}.verdict.json",
    ]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in (written.verdict, written.page, written.junit))
    assert files.read(written.verdict) == made
    document = json.loads(json.dumps(files.document(made, written)))
    assert document["files"]["page"] == str(written.page)
    assert (document["outcome"], document["exit_code"]) == ("lost", 21)
    assert "77 of 1500" in written.page.read_text(encoding="utf-8")


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """Verdicts that cannot be read are named; the others make the trend."""
    for number, made in enumerate(example.month()):
        (tmp_path / f"{number}.verdict.json").write_text(json.dumps(made.as_json()), encoding="utf-8")
    (tmp_path / "cut.verdict.json").write_text('{"run": ', encoding="utf-8")
    (tmp_path / "odd.verdict.json").write_text(
        json.dumps({**example.kept().as_json(), "outcome": "fine"}), encoding="utf-8"
    )
    found, wrong = files.past(tmp_path)
    assert len(found) == 13
    assert [each.split(" has no verdict")[0] for each in wrong] == ["cut.verdict.json", "odd.verdict.json"]
    page = files.write_trend(tmp_path, trend.of(example.SCENARIO, found))
    assert page.name == "worker-with-primary-down.trend.html"
    as_json, xml = files.write_total(tmp_path, "20261122T024500Z-nightly", Total("nightly", tuple(found)))
    assert json.loads(as_json.read_text(encoding="utf-8"))["exit_code"] == 22
    assert xml.name == "20261122T024500Z-nightly.junit.xml"


def test_what_the_judge_says_of_a_record_is_reported_whole(tmp_path: Path) -> None:
    """From the record's file to its reports: what was expected and had to hold is a case of the JUnit XML, and met."""
    story = records.typical()
    path = story.write(tmp_path / "20261122T024500Z-worker-down.jsonl")
    made = judge(record.read(path))
    written = files.write(path, made)
    assert files.read(written.verdict) == made
    assert [(each.name, each.met) for each in demands.of(made)][-3:] == [
        ("promoted", True),
        ("no acknowledged write lost", True),
        ("one primary", True),
    ]
    xml = written.junit.read_text(encoding="utf-8")
    assert 'name="no acknowledged write lost"' in xml
    assert "<failure" not in xml
    assert "load balancer check 14.1 s" in written.page.read_text(encoding="utf-8")


def test_an_outage_that_did_not_end_is_never_called_kept() -> None:
    """A probe that was out when the probes stopped exceeded its window, however short it was out by then."""
    made = judge(records.Story().probe("page/a", "http", every=0.1, window=15, out=[(55, 5)]).entries())
    assert words.verdict(made) == "exceeded: page/a was out for 4.9 ± 0.1 s, not over"
    assert words.by_how_much(made.series[0]) == "not over at the end"
    assert not demands.of(made)[0].met
    assert not trend.of(made.scenario, [made]).lines[0].points[0].kept
