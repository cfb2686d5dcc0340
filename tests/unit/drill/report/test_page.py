"""A drill's page: whole, self-contained, every figure in words, and right to look at in a real browser."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from drkit.drill import record
from drkit.drill.record import Begin, Event
from drkit.drill.report import page, parts, timeline
from drkit.drill.verdict import BALANCER, DETECTION, KEPT, Verdict
from tests import pages
from tests.unit.drill.report import example
from tests.unit.drill.report.test_text import EVIL

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.drill.record import Entry


def _crowded() -> tuple[Verdict, list[Entry]]:
    """A drill in which everything is long or many: names, answers, faults, a hundred events, four outages."""
    made = example.kept()
    name = f"page/{EVIL}{'x' * 80}"
    asked = [replace(each, probe=name, said=EVIL) for each in example.asked(example.PAGE)]
    first = made.series[0].outages[0]
    outages = tuple(replace(first, first_failure=first.first_failure + after) for after in (0.0, 30.0, 45.0, 95.0))
    outages = (*outages[:3], replace(outages[3], first_success=None, seconds=24.3))
    series = replace(made.series[0], probe=name, where=EVIL, outages=outages, longest=24.3, beyond=9.3)
    faults = [
        replace(made.faults[0], target=EVIL * 3, sent=30.0 + 40 * number, undone=60.0 + 40 * number if number else None)
        for number in range(3)
    ]
    faults.append(replace(faults[0], sent=None, acknowledged=None, observed=None, undone=None))
    crowd = [Event(34.0 + number, record.POD_DELETED, f"{EVIL}/{'y' * 60}-{number}") for number in range(100)]
    crowd += [Event(40.0 + number, record.NEW_PRIMARY, EVIL, {"to": EVIL}) for number in range(9)]
    entries = [each for each in example.entries() if getattr(each, "probe", "") != example.PAGE.name]
    shown = replace(
        made,
        title=EVIL,
        cluster=EVIL,
        notes=(EVIL,),
        reasons=(EVIL, EVIL),
        faults=tuple(faults),
        series=(series, *made.series[1:]),
    )
    return shown, [*entries, *asked, *crowd]


def _predicting(predicted: dict[str, Any]) -> list[Entry]:
    return [replace(each, predicted=predicted) if isinstance(each, Begin) else each for each in example.entries()]


@pytest.mark.parametrize("made", [example.kept(), example.exceeded(), example.lost(), example.invalid()])
def test_the_page_needs_nothing_and_says_all(made: Verdict) -> None:
    """It refers to nothing outside of itself, has no script, and its tables have the figures of its pictures."""
    parsed = pages.self_contained(page.html(made, example.entries()))
    shown = " ".join(" ".join(parsed.shown).split())
    for said in (
        made.outcome,
        "14.2 ± 0.1 s",
        "77 of 1500",
        "17.0 ± 5.0 s",
        "+65.0 s",
        "main-db-2 promoted",
        "node k3s-w2 not ready after 10.8 s; failing over after 16.1 s",
        "1262 acknowledged, 228 failed, 10 unknown (2 of them done)",
        "CloudNativePG is a stand-in here",
        "postgres/main-db-pooler-7f9c-2m4bx",
    ):
        assert said in shown


def test_nothing_that_servers_say_is_markup() -> None:
    """Names and answers are text, their control characters shown as such."""
    html = page.html(*_crowded())
    parsed = pages.self_contained(html)
    assert "\x1b" not in html
    assert any("<script>alert(1)</script>&" in data for data in parsed.shown)


def test_without_a_record_the_verdict_is_still_shown() -> None:
    """Where the entries are lost, tables and outages are there, and the strips are empty."""
    parsed = pages.self_contained(page.html(example.kept(), []))
    assert "14.2 ± 0.1 s" in " ".join(parsed.shown)


def test_a_drill_without_faults_and_probes_has_a_page() -> None:
    """What ended before anything was asked is shown too."""
    made = replace(example.invalid(), faults=(), happened=(), series=(), ledgers=(), expect=(), hold=(), ended=0.0)
    assert "invalid" in pages.self_contained(page.html(made, [])).shown


def test_the_longest_record_makes_no_huge_page() -> None:
    """Fifty questions a second for ten minutes are a strip of some hundred cells: the page stays below 200 kB."""
    probe = replace(example.PAGE, every=0.02)
    asked = [
        record.Asked(number * 0.02 + 0.01, probe.name, number, number * 0.02, number * 0.02, outcome)
        for number in range(30_000)
        for outcome in [record.FAILED if number % 97 == 0 else record.OK]
    ]
    assert len(page.html(example.kept(), asked)) < 200_000


def test_the_pictures_say_in_words_what_they_show() -> None:
    """Each has a title and a description, and each strip, outage, mark and part one that a pointer brings up."""
    made = example.kept()
    pictures = [timeline.svg(made, example.entries()), parts.svg(parts.of(made, {}))]
    for picture in (ET.fromstring(each) for each in pictures):  # noqa: S314 - made just now
        assert picture.get("role") == "img"
        named = {each.get("id") for each in picture.iter() if each.get("id")}
        assert set(str(picture.get("aria-labelledby")).split()) <= named
        told = [each for each in picture.iter("g") if str(each.get("class")).split()[0] in {"strip", "seen", "piece"}]
        told += [each for each in picture.iter("rect") if each.get("class") == "outage"]
        assert told
        assert all(each.findtext("title") for each in told)


def test_a_failure_is_seen_by_its_height() -> None:
    """Failed, unknown and ok differ in height, so that they are told apart without colours."""
    picture = ET.fromstring(timeline.svg(example.kept(), example.entries()))  # noqa: S314 - made just now
    heights = {
        str(each.get("class")): str(each.get("d")).split("v")[1].split("h")[0]
        for each in picture.iter("path")
        if each.get("class") in {"ok", "unknown", "failed"}
    }
    assert len(set(heights.values())) == 3


def test_the_prediction_stands_beside_in_its_parts() -> None:
    """Where the prediction names its parts they are drawn; what is no prediction is drawn as a whole."""
    said = {"seconds": 17.0, "error": 5.0, "parts": [[DETECTION, 3.0], [BALANCER, 14.0]]}
    made = example.kept()
    split = parts.of(made, {example.PAGE.name: said})[0]
    assert [(each.name, each.began, each.ended) for each in split.predicted] == [
        (DETECTION, 0.0, 3.0),
        (BALANCER, 3.0, 17.0),
    ]
    assert sum(each.ended - each.began for each in split.measured) == pytest.approx(14.2)
    wrong: Any
    for wrong in ([], {"parts": 5}, {"parts": [[1]]}, {"parts": [["a", "b"]]}, None):
        assert [each.ended for each in parts.of(made, {example.PAGE.name: wrong})[0].predicted] == [17.0]
    assert 'class="piece part-2"' in page.html(made, _predicting({example.PAGE.name: said}))


MEASURE = """
const box = (each) => each.getBoundingClientRect();
const meet = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
const found = {texts: 0, doubled: [], outside: [], unseen: []};
for (const picture of document.querySelectorAll("svg")) {
  const frame = box(picture), texts = [...picture.querySelectorAll("text")];
  found.texts += texts.length;
  texts.forEach((one, at) => texts.slice(at + 1).forEach((other) => {
    if (meet(box(one), box(other))) found.doubled.push(one.textContent + " / " + other.textContent);
  }));
  for (const each of picture.querySelectorAll("text, rect, path, circle, line")) {
    const edges = box(each);
    if (edges.left < frame.left - 1 || edges.right > frame.right + 1 ||
        edges.top < frame.top - 1 || edges.bottom > frame.bottom + 1) found.outside.push(each.outerHTML);
  }
  // What is written over a strip or a bar could not be read.
  for (const bar of picture.querySelectorAll(".strip path, .within, .beyond, .dot circle"))
    for (const text of texts) if (meet(box(text), box(bar)) && !bar.closest("g.piece"))
      if (bar.getBBox().width < 600) found.doubled.push(text.textContent + " / " + bar.getAttribute("class"));
}
for (const each of document.querySelectorAll("svg text, td, th, p, li, dd, dt, h1, h2")) {
  const edges = box(each), hidden = each.closest("details:not([open])") && !each.closest("summary");
  if (each.textContent.trim() && !hidden && (edges.width < 1 || edges.height < 1)) found.unseen.push(each.outerHTML);
}
found.wide = document.documentElement.scrollWidth > window.innerWidth;
found.cut = [...document.querySelectorAll("td, th, dd, p, h1")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.outerHTML);
return found;
"""


@pages.browser_needed
@pytest.mark.parametrize("width", [1280, 820])
@pytest.mark.parametrize("case", ["kept", "crowded"])
def test_a_browser_shows_it_so(tmp_path: Path, width: int, case: str) -> None:
    """In a real browser no text meets another, nothing leaves its picture or the page, and all of it is seen."""
    made, entries = (example.kept(), example.entries()) if case == KEPT else _crowded()
    said = pages.measured(page.html(made, entries), MEASURE, width, tmp_path)
    assert said.pop("texts") > 30
    assert said == {"doubled": [], "outside": [], "unseen": [], "wide": False, "cut": []}
