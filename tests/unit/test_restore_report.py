"""The report: told from the journal alone, across attempts; its page whole, self-contained, and readable."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.observe.axis import GAP_WIDTH, Axis
from drkit.restore import rebuild_plan
from drkit.restore.engine import estimate, journal, page, report, text, waterfall
from drkit.restore.engine.action import Group
from drkit.restore.engine.estimate import Sample
from drkit.restore.engine.plan import Drawn, Plan, Step
from drkit.restore.engine.report import AttemptReport
from drkit.restore.kinds import KINDS
from tests import pages
from tests.unit.builders import NOON
from tests.unit.test_rebuild_plan import reference

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.restore.engine.report import Report

EVIL = "load <script>alert(1)</script>&\x1b[2J"
_SECONDS = {"server": 31.0, "pod-load": 42.0, "k3s": 12.0, "datastore": 9.0}


class _Journal:
    """Writes the records of attempts as the engine does, at times of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.records: list[dict[str, Any]] = []
        self._began = NOON
        self._done: set[str] = set()

    def attempt(self, after: float, *, until: str = "", how: str = journal.FINISHED) -> None:
        """One attempt: every step that is left, as soon as its needs are done, up to one that ends as ``how`` says."""
        self._began += timedelta(seconds=after)
        self.records.append({"attempt": 1, "at": journal.to_text(self._began)})
        ends = dict.fromkeys(self._done, 0.0)
        happened: list[tuple[float, dict[str, Any]]] = []
        for step in self.plan.steps:
            if step.id in self._done or not set(step.needs) <= ends.keys():
                continue
            began = max((ends[need] for need in step.needs), default=0.0)
            ended = began + _SECONDS.get(step.action, 2.5)
            happened.append((began, {"step": step.id, "status": journal.STARTED}))
            if step.id == until:
                happened += (
                    [] if how == report.KILLED else [(ended, {"step": step.id, "status": how, "error": "cut <off>"})]
                )
            else:
                ends[step.id] = ended
                happened.append((ended, {"step": step.id, "status": journal.DONE, "result": {}}))
        self._done |= ends.keys()
        last = max(moment for moment, _ in happened)
        happened += [(last, {"status": journal.FINISHED})] if how == journal.FINISHED else []
        for moment, record in sorted(happened, key=lambda each: each[0]):
            at = journal.to_text(self._began + timedelta(seconds=moment))
            self.records.append({**record, "at": at, "since": round(moment, 3)})

    def told(self, kind: str, value: Any) -> None:
        """A step tells something."""
        self.records.append({"step": self.plan.steps[0].id, "told": kind, "value": value, "since": 0.0})

    def report(self) -> Report:
        """What comes of it."""
        history = journal.History(self.plan.as_json(), tuple(self.records))
        return report.of(self.plan, history, "20260301t120000z-abc123")


def _plan(*more: Step) -> Plan:
    drawn = (Drawn("datastore", "20260301T030000Z-abc123", 18_000, 12_000_000),)
    return Plan("new-cluster", (*rebuild_plan.steps(reference()), *more), drawn, ("the <b>plan</b> warns",), "etcd")


def _resumed() -> Report:
    """A restore that failed, was killed, and came to its end two hours later."""
    written = _Journal(_plan(Step(EVIL, "no such action", "x" * 200, ("dns",))))
    written.attempt(0, until="join k3s-w2", how=journal.FAILED)
    written.attempt(600, until="load postgres/main-db/docfast", how=report.KILLED)
    written.attempt(7200)
    written.told("reissue", "the kubeconfig of the CI")
    written.told("old-record", {"name": "docfast.dev", "type": "A", "values": ["192.0.2.10"]})
    return written.report()


def test_a_resumed_restore_is_reported_whole() -> None:
    """All attempts count, with the time between them; what failed or was killed stands beside what was done."""
    made = _resumed()
    assert [attempt.status for attempt in made.attempts] == ["failed", "killed", "finished"]
    assert [attempt.began for attempt in made.attempts] == [0, 600, 7800]
    assert made.seconds == 7800 + made.attempts[-1].seconds
    assert {(run.id, run.status, run.attempt) for run in made.cut_short} == {
        ("join k3s-w2", "failed", 1),
        ("load postgres/main-db/docfast", "killed", 2),
    }
    assert {run.id for run in made.steps} == {step.id for step in made.plan.steps}


def test_an_undisturbed_restore_takes_at_least_its_critical_path() -> None:
    """With room for all steps at once the longest chain is the whole."""
    written = _Journal(_plan())
    written.attempt(0)
    made = written.report()
    assert made.critical.seconds == pytest.approx(made.seconds)
    assert made.critical.steps[0] == "network"
    assert made.critical.steps[-1] == "dns"


def test_scripts_find_what_they_rely_on() -> None:
    """The JSON has the keys that scripts read, and says of each step whether it was on the critical path."""
    document = json.loads(json.dumps(_resumed().as_json()))
    assert {
        "target", "started", "point", "draws_on", "proofs_equal", "rto_seconds", "roles_made", "warnings", "steps"
    } <= document.keys()  # fmt: skip
    assert document["proofs_equal"] is True
    assert document["started"] == "2026-03-01T12:00:00Z"
    assert {step["status"] for step in document["steps"]} == {"done"}
    assert any(step["critical"] for step in document["steps"])
    assert document["old_records"] == [{"name": "docfast.dev", "type": "A", "values": ["192.0.2.10"]}]


def test_what_did_not_come_to_its_end_is_no_success() -> None:
    """A restore that failed is reported too, and nothing in its report says that it is proven."""
    written = _Journal(_plan())
    written.attempt(0, until="datastore k3s-mgr", how=journal.FAILED)
    made = written.report()
    assert made.as_json()["proofs_equal"] is False
    assert "every proof is equal" not in "\n".join((*text.of_report(made), page.html(made, KINDS)))


def test_every_action_has_a_kind() -> None:
    """No step of a plan is drawn in the colour of the unknown."""
    for mode in ("etcd", "manifests"):
        assert {step.action for step in rebuild_plan.steps(reference(mode))} <= KINDS.keys()


def test_the_page_needs_nothing_and_trusts_nothing() -> None:
    """It is well formed, refers to nothing outside of itself, has no script, and shows names as text."""
    html = page.html(_resumed(), KINDS)
    parsed = pages.self_contained(html)
    assert "<b>plan</b>" not in html
    assert "\x1b" not in html
    assert any("load <script>alert(1)</script>" in data for data in parsed.shown)
    shown = " ".join(parsed.shown)
    for said in ("the kubeconfig of the CI", "docfast.dev A 192.0.2.10", "the <b>plan</b> warns", "cut <off>"):
        assert said in shown


def test_the_picture_says_in_words_what_it_shows() -> None:
    """It has a title and a description, and each bar and label has one that a pointer brings up."""
    picture = _picture(_resumed())
    assert picture.get("role") == "img"
    named = {each.get("id") for each in picture.iter() if each.get("id")}
    assert set(str(picture.get("aria-labelledby")).split()) <= named
    bars = [each for each in picture.iter("g") if each.get("class") == "run"]
    assert bars
    assert all(bar.findtext("title") for bar in bars)


def _picture(made: Report) -> ET.Element:
    return ET.fromstring(waterfall.svg(made, KINDS))  # noqa: S314 - made just now


def _number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def test_no_bar_meets_a_label() -> None:
    """Labels end before the bars begin, and durations begin after the bars end, whatever the names and times."""
    picture = _picture(_resumed())
    bars = [each for each in picture.iter("rect") if str(each.get("class")).startswith("bar")]
    labels = [each for each in picture.iter("text") if str(each.get("class")).startswith("label")]
    took = [each for each in picture.iter("text") if each.get("class") == "took"]
    left = min(_number(bar, "x") for bar in bars)
    right = max(_number(bar, "x") + _number(bar, "width") for bar in bars)
    # 12 pixels of any font of a fixed pitch: at most 7.3 pixels a character.
    assert all(_number(label, "x") + 7.3 * len(label.text or "") <= left for label in labels)
    assert all(_number(each, "x") - 7.3 * len(each.text or "") >= right for each in took)
    rows = {(_number(bar, "y"), _number(bar, "height")) for bar in bars}
    assert len(labels) == len({y for y, _ in rows})


@given(
    st.lists(st.tuples(st.floats(0.1, 5000), st.floats(0, 100_000)), min_size=1, max_size=5),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_time_runs_to_the_right(attempts: list[tuple[float, float]], moments: list[float]) -> None:
    """Later is never further left, attempts are to one scale, gaps have one width, ticks keep apart."""
    began, made = 0.0, []
    for number, (seconds, gap) in enumerate(attempts, 1):
        made.append(AttemptReport(number, "", began, seconds, "failed"))
        began += seconds + gap
    axis = Axis(made, 300, 1000)
    end = made[-1].began + made[-1].seconds
    first, second = sorted(moment * end for moment in moments)
    assert 300 <= axis.x(first) <= axis.x(second) <= 1000 + 1e-6
    assert all(gap.right - gap.left == pytest.approx(GAP_WIDTH) for gap in axis.gaps)
    places = [place for place, _ in axis.ticks()]
    assert all(after - before >= 72 for before, after in pairwise(places))


_MEASURE = """
const box = (each) => each.getBoundingClientRect();
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const all = (what) => [...document.querySelectorAll("svg " + what)].map(box);
const texts = all("text"), bars = all(".bar");
const picture = box(document.querySelector("svg"));
return {
  bars: bars.length, texts: texts.length,
  met: texts.filter((text) => bars.some((bar) => meet(text, bar))).length,
  doubled: texts.filter((one, at) => texts.some((other, place) => place > at && meet(one, other))).length,
  outside: [...texts, ...bars].filter((each) => each.left < picture.left - 1 || each.right > picture.right + 1).length,
  wide: document.documentElement.scrollWidth > window.innerWidth,
};
"""


@pages.browser_needed
@pytest.mark.parametrize("width", [1280, 820])
def test_a_browser_shows_it_so(tmp_path: Path, width: int) -> None:
    """In a real browser no text meets a bar or another text, and nothing leaves the picture or the page."""
    said = pages.measured(page.html(_resumed(), KINDS), _MEASURE, width, tmp_path)
    assert said["bars"] > 40
    assert {key: said[key] for key in ("met", "doubled", "outside", "wide")} == {
        "met": 0,
        "doubled": 0,
        "outside": 0,
        "wide": False,
    }


def test_estimates_come_from_earlier_runs_of_the_same_action() -> None:
    """The median of the runs whose size is nearest, to scale where the size matters; nothing where there was none."""
    steps = (Step("load a", "load", "", (), {"size": 2_000_000_000}), Step("boot", "boot", ""), Step("new", "new", ""))
    samples = [Sample("load", 1_000_000_000, seconds) for seconds in (9.0, 10.0, 30.0)]
    samples += [Sample("load", 1000, 0.2)] + [Sample("boot", 0, seconds) for seconds in (20.0, 40.0)]
    found = estimate.of(steps, samples[:3] + samples[4:], {})
    assert found.steps == {"load a": 20.0, "boot": 30.0}
    assert found.unknown == ("new",)
    assert found.path.seconds == 30.0


def test_an_estimate_knows_how_much_runs_at_a_time() -> None:
    """Five databases of ten seconds, two at a time, take thirty; what needs no room runs beside them."""
    loads = tuple(Step(f"load {number}", "load", "") for number in range(5))
    steps = (*loads, Step("boot", "boot", ""), Step("end", "end", "", tuple(step.id for step in loads)))
    samples = [Sample("load", 0, 10.0), Sample("boot", 0, 25.0), Sample("end", 0, 1.0)]
    found = estimate.of(steps, samples, {"load": Group("databases", 2)})
    assert (found.seconds, found.path.seconds) == (31.0, 25.0)
    assert found.as_json()["seconds"] == 31.0
    assert estimate.of(steps, samples, {}).seconds == 25.0


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0.1, 1000)), min_size=1), st.integers(0, 10**12))
def test_an_estimate_lies_within_what_was_seen(seen: list[tuple[int, float]], size: int) -> None:
    """No estimate is above the slowest rate or below the quickest one that was ever measured."""
    samples = [Sample("load", each, seconds) for each, seconds in seen]
    found = estimate.of((Step("load", "load", "", (), {"size": size}),), samples, {}).steps["load"]
    small = 16_000_000
    rates = [seconds / max(each, small) for each, seconds in seen]
    assert min(rates) * max(size, small) <= found + 0.001
    assert found - 0.001 <= max(rates) * max(size, small)


def test_only_undisturbed_runs_are_samples() -> None:
    """A step that was cut short and done in a second piece says nothing about how long it takes."""
    written = _Journal(_plan())
    written.attempt(0, until="join k3s-w2", how=journal.FAILED)
    written.attempt(60)
    history = journal.History(written.plan.as_json(), tuple(written.records))
    samples = estimate.samples([history, journal.History({"another": "version"})])
    assert len(samples) == len(written.plan.steps) - 1
    assert estimate.of(written.plan.steps, samples, {}).unknown == ()


def test_a_plan_shows_what_to_expect() -> None:
    """`--plan` has an estimate for each step and for the whole, and says where it knows none."""
    made = _plan()
    nothing = "\n".join(text.of_plan(made, estimate.of(made.steps, [], {})))
    assert "this machine has not done such a restore yet" in nothing
    assert "datastore  20260301T030000Z-abc123  5 h 0 min" in nothing
    some = text.of_plan(made, estimate.of(made.steps, [Sample("server", 0, 31.0)], {}))
    assert any(re.search(r"server k3s-w1 .* 31\.0 s +network$", line) for line in some)
    assert some[-1].startswith("estimate: at least 31.0 s")
