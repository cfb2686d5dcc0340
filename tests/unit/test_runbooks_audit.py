"""The pages about what the audit finds are of one shape, are all to be found, and serve every rule."""

from __future__ import annotations

import shlex

import pytest
import typer.main

from drkit.cli.main import app
from drkit.posture.rules import RULES
from tests.runbooks import AUDIT, Page, index, pages
from tests.unit.test_runbooks import parse

PAGES = pages(AUDIT)
SECTIONS = ["How to recognise it", "What to do", "How to check", "How to go back"]


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    """Each of them."""
    return PAGES[request.param]


def test_a_page_says_how_to_recognise_do_check_and_go_back(page: Page) -> None:
    """Whoever was sent here by a finding knows what it means, what to do, and how to be rid of what was done."""
    assert page.headings == SECTIONS
    assert page.text.startswith("# ")
    assert page.blocks


def test_every_page_is_in_the_index_and_links_lead_somewhere(page: Page) -> None:
    """No page is hidden, and no link is broken."""
    assert f"{page.name}.md" in index(AUDIT).links
    for link in (*page.links, *index(AUDIT).links):
        assert (AUDIT / link).is_file(), link


def test_every_command_of_drkit_is_one(page: Page) -> None:
    """Commands and options are spelt as the program has them."""
    for block in page.blocks:
        for line in block.text.splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "drkit":
                parse(typer.main.get_command(app), words[: words.index(">")] if ">" in words else words)


def test_a_page_tells_of_every_rule_that_leads_to_it(page: Page) -> None:
    """A finding's id is found on its page, before what is to be done about it; and a page knows no other ids."""
    recognised = page.text.partition("## What to do")[0]
    mine = {rule.id for rule in RULES if rule.runbook == f"runbooks/audit/{page.name}.md"}
    assert mine
    assert {each for each in mine if f"`{each}`" not in recognised} == set()


def test_the_index_of_all_runbooks_leads_to_them() -> None:
    """Who looks for help finds these pages as well."""
    assert "audit/README.md" in index().links
