"""JUnit XML: of the form that its readers know, and never greener than the verdict."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser import TestCase as Case

from drkit.drill.report import junit
from drkit.drill.report.suite import Unrun
from drkit.drill.verdict import KEPT
from tests.unit.drill.report import example
from tests.unit.drill.report.test_text import EVIL

if TYPE_CHECKING:
    from drkit.drill.verdict import Verdict

_FORM: dict[str, tuple[tuple[str, ...], frozenset[str], frozenset[str]]] = {
    "testsuites": (("testsuite",), frozenset(), frozenset({"name", "time", "tests", "failures", "errors"})),
    "testsuite": (
        ("properties", "testcase", "system-out", "system-err"),
        frozenset({"name", "tests"}),
        frozenset({"failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package", "disabled"}),
    ),
    "properties": (("property",), frozenset(), frozenset()),
    "property": ((), frozenset({"name", "value"}), frozenset()),
    "testcase": (
        ("skipped", "error", "failure", "system-out", "system-err"),
        frozenset({"name"}),
        frozenset({"classname", "time", "status", "assertions"}),
    ),
    "failure": ((), frozenset(), frozenset({"type", "message"})),
    "error": ((), frozenset(), frozenset({"type", "message"})),
    "skipped": ((), frozenset(), frozenset()),
    "system-out": ((), frozenset(), frozenset()),
}
"""Of each element what may be in it, in this order, the attributes that it needs and those that it may have: as the
junit-4 schema of Jenkins' xunit plugin has it, the narrowest that is in use."""


def _check(element: ET.Element) -> None:
    inside, needed, allowed = _FORM[element.tag]
    assert needed <= element.attrib.keys() <= needed | allowed
    places = [inside.index(child.tag) for child in element]
    assert all(before <= after for before, after in pairwise(places))
    for child in element:
        _check(child)


def _cases(xml: str) -> list[Case]:
    return [case for suite in JUnitXml.fromstring(xml.encode()) for case in suite]


def _results(xml: str, kind: type[Error | Failure | Skipped]) -> list[str]:
    return [str(case.name) for case in _cases(xml) for result in case.result if isinstance(result, kind)]


@pytest.mark.parametrize("made", [example.kept(), example.exceeded(), example.lost(), example.invalid()])
def test_it_has_the_form_that_readers_know(made: Verdict) -> None:
    """No element and no attribute is where a strict reader does not expect it, and the counts agree."""
    root = ET.fromstring(junit.xml([made, made], [Unrun("disk-full", "refused")]))  # noqa: S314 - made just now
    _check(root)
    suites = root.findall("testsuite")
    for suite in suites:
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
        for kind, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(count, "")) == len(suite.findall(f"testcase/{kind}"))
    for count in ("tests", "failures", "errors"):
        assert int(root.get(count, "")) == sum(int(suite.get(count, "")) for suite in suites)


def test_each_demand_is_a_case() -> None:
    """Every window, expectation and hold is there by name, met or not."""
    assert [case.name for case in _cases(junit.xml([example.kept()]))] == [
        "the drill as a whole",
        "page/docfast.example within 15 s",
        "sql-write/main-db within 40 s",
        "sql-write/main-db (session) within 40 s",
        "kube-api/k3s-mgr within 10 s",
        "promoted",
        "rescheduled",
        "no acknowledged write lost",
        "one primary",
    ]


def test_what_was_not_met_fails() -> None:
    """A window exceeded and a write lost are failures of their cases, each with its figures."""
    exceeded, lost = junit.xml([example.exceeded()]), junit.xml([example.lost()])
    assert _results(exceeded, Failure) == ["the drill as a whole", "page/docfast.example within 10 s"]
    assert _results(lost, Failure) == ["the drill as a whole", "no acknowledged write lost"]
    assert 'message="14.2 ± 0.1 s, exceeded by 4.2 s"' in exceeded


def test_an_invalid_drill_proves_nothing() -> None:
    """It is an error, and no window of it counts as kept or exceeded."""
    xml = junit.xml([example.invalid()])
    assert _results(xml, Error) == ["the drill as a whole"]
    assert len(_results(xml, Skipped)) == len(_cases(xml)) - 1


def test_what_the_judge_calls_bad_is_never_green() -> None:
    """Whatever the demands say, a verdict that is not kept has a failure or an error."""
    for made in (example.exceeded(), example.lost(), example.invalid()):
        xml = junit.xml([replace(made, expect=(), hold=(), series=())])
        assert _results(xml, Failure) + _results(xml, Error)
    assert not _results(junit.xml([replace(example.kept(), outcome=KEPT)]), Failure)


def test_a_scenario_that_was_not_run_is_an_error() -> None:
    """A suite that was refused in part is not green."""
    assert _results(junit.xml([], [Unrun("disk-full", "no verified backup")]), Error) == ["the drill as a whole"]


def test_names_cannot_break_the_document() -> None:
    """Markup and control characters in names and in what servers say are text, which XML can hold."""
    made = example.lost()
    evil = replace(
        made,
        scenario=EVIL + "\x00\ud800\uffff",
        title=EVIL,
        reasons=(EVIL, EVIL),
        series=(replace(made.series[0], probe=EVIL, beyond=1.0),),
        ledgers=(replace(made.ledgers[0], probe=EVIL, two_primaries=EVIL),),
    )
    xml = junit.xml([evil], [Unrun(EVIL, EVIL)])
    _check(ET.fromstring(xml))  # noqa: S314 - made just now
    assert "\x1b" not in xml
    assert any("<script>alert(1)</script>&" in str(case.name) for case in _cases(xml))
