"""The alert rules and the dashboard that ship: they load, they do what they say, and ask for metrics that exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
import yaml

from drkit.cli.main import app
from drkit.observe.metrics.families import FAMILIES
from tests.promtool import promtool
from tests.runbooks import ALERTS, Page, index, pages
from tests.unit.test_runbooks import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
ALERT_RULES = [each for each in RULES if "alert" in each]
STORIES = yaml.safe_load((MONITORING / "rules.test.yml").read_text(encoding="utf-8"))["tests"]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
PAGES = pages(ALERTS)
_METRIC = re.compile(r"\b(drkit_\w+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
SECTIONS = ["How to recognise it", "What to do", "How to check", "How to go back"]
NOT_DRKITS = {"systemctl", "kubectl"}


def _told(*argv: str) -> str:
    done = subprocess.run([promtool(), *argv], cwd=MONITORING, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules() -> None:
    """They load as they are."""
    assert f"SUCCESS: {len(RULES)} rules found" in _told("check", "rules", "rules.yml")


def test_every_alert_comes_when_it_should_and_not_before() -> None:
    """Prometheus itself plays the stories."""
    assert "FAILED" not in _told("test", "rules", "rules.test.yml")


@pytest.mark.parametrize("rule", ALERT_RULES, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_story_that_raises_it_and_one_that_does_not(rule: dict[str, Any]) -> None:
    """None is believed to work because nothing contradicts."""
    asked = [
        bool(each["exp_alerts"])
        for story in STORIES
        for each in story["alert_rule_test"]
        if each["alertname"] == rule["alert"]
    ]
    assert set(asked) == {True, False}


@pytest.mark.parametrize("rule", ALERT_RULES, ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_a_page_that_tells_of_it(rule: dict[str, Any]) -> None:
    """Whoever is woken up has a page to go to, and finds the alert's name on it."""
    page = ROOT / rule["annotations"]["runbook"]
    assert page.parent == ALERTS
    assert f"`{rule['alert']}`" in page.read_text(encoding="utf-8").partition("## What to do")[0]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description"} <= rule["annotations"].keys()


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    """Each page about alerts."""
    return PAGES[request.param]


def test_a_page_about_alerts_is_whole(page: Page) -> None:
    """Of one shape, in the index, without broken links, without alerts that do not exist, with commands that do."""
    assert page.headings == SECTIONS
    assert f"{page.name}.md" in index(ALERTS).links
    for link in (*page.links, *index(ALERTS).links):
        assert (ALERTS / link).is_file(), link
    assert set(re.findall(r"`(Drkit\w+)`", page.text)) <= {each["alert"] for each in ALERT_RULES}
    for block in page.blocks:
        for line in block.text.splitlines():
            words = shlex.split(line)
            if words[0] not in NOT_DRKITS:
                parse(typer.main.get_command(app), words)


def _queries() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


@pytest.mark.parametrize(("where", "query"), list(_queries()))
def test_queries_ask_for_metrics_and_labels_that_exist(where: str, query: str) -> None:
    """A metric that is renamed takes its alerts and panels along, or this says which it left behind."""
    named = _METRIC.findall(query)
    assert named
    for name, matchers in named:
        assert name in FAMILIES, where
        assert set(_LABEL.findall(re.sub(r'"[^"]*"', '""', matchers))) <= {"cluster", *FAMILIES[name].labels}, where


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """Each is given to Prometheus's own parser, as a rule; the dashboard's variables stand inside of texts."""
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": target["expr"]}
        for panel in PANELS
        for target in panel["targets"]
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in _told("check", "rules", str(file))


def test_the_dashboard_is_one() -> None:
    """What Grafana's import looks for: a schema that it knows, unique ids, panels side by side."""
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["title"]
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "cluster"}
    ids = [each["id"] for each in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])
    places = [each["gridPos"] for each in DASHBOARD["panels"]]
    assert all(each["x"] >= 0 and each["x"] + each["w"] <= 24 and each["h"] > 0 for each in places)
    for one, other in combinations(places, 2):
        apart = [one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in ("xw", "yh")]
        assert any(apart), (one, other)
