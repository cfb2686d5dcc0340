"""Verdicts as JUnit XML, which continuous integration shows: a suite for each drill, a case for each demand. Pure.

There is no standard; what is written here is what all readers know (the schemas of Jenkins' xunit plugin, junit-4 and
junit-10): ``failure`` for a demand that was not met, ``error`` for a drill that proves nothing, ``skipped`` for what
such a drill seems to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from drkit.drill.report import demands, text, words
from drkit.drill.verdict import INVALID, KEPT
from drkit.observe.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drkit.drill.report.demands import Demand
    from drkit.drill.report.suite import Unrun
    from drkit.drill.verdict import Verdict

WHOLE = "the drill as a whole"
_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"
_COUNTED = {_FAILURE: "failures", _ERROR: "errors", _SKIPPED: "skipped"}
_PROVES_NOTHING = "the drill is invalid: it proves nothing"


def xml(verdicts: Iterable[Verdict], unrun: Iterable[Unrun] = ()) -> str:
    """The document.

    Args:
        verdicts: of the drills that came to one.
        unrun: those that did not.
    """
    root = ET.Element("testsuites", name="drkit drill")
    root.extend(_suite(each) for each in verdicts)
    root.extend(_unrun(each) for each in unrun)
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(made: Verdict) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(made.scenario), timestamp=printable(made.started[:19]))
    properties = ET.SubElement(suite, "properties")
    for name, value in (("run", made.run), ("cluster", made.cluster), ("outcome", made.outcome), ("title", made.title)):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    whole = _case(suite, made.scenario, WHOLE, made.ended)
    if made.outcome != KEPT:
        kind = _ERROR if made.outcome == INVALID else _FAILURE
        _tell(whole, kind, made.outcome, words.verdict(made), made.reasons)
    for demand in demands.of(made):
        _demand(_case(suite, made.scenario, demand.name, demand.seconds or 0.0), demand, made)
    ET.SubElement(suite, "system-out").text = "\n".join(text.of_verdict(made))
    _count(suite, made.ended)
    return suite


def _demand(case: ET.Element, demand: Demand, made: Verdict) -> None:
    if made.outcome == INVALID and not demand.data:
        _tell(case, _SKIPPED, INVALID, _PROVES_NOTHING)
    elif not demand.met:
        _tell(case, _FAILURE, "lost" if demand.data else "exceeded", demand.said)


def _unrun(each: Unrun) -> ET.Element:
    suite = ET.Element("testsuite", name=printable(each.scenario))
    _tell(_case(suite, each.scenario, WHOLE, 0.0), _ERROR, INVALID, each.why)
    _count(suite, 0.0)
    return suite


def _case(suite: ET.Element, scenario: str, name: str, seconds: float) -> ET.Element:
    place = printable(f"drkit.drill.{scenario}")
    return ET.SubElement(suite, "testcase", name=printable(name), classname=place, time=f"{seconds:.3f}")


def _tell(case: ET.Element, kind: str, what: str, said: str, more: Iterable[str] = ()) -> None:
    found = ET.SubElement(case, kind)
    if kind != _SKIPPED:  # which is a text alone in junit-4
        found.set("message", printable(said))
        found.set("type", what)
    found.text = "\n".join(map(printable, (said, *more)))


def _count(suite: ET.Element, seconds: float) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for kind, attribute in _COUNTED.items():
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("time", f"{seconds:.3f}")
