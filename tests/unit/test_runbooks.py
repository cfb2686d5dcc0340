"""The runbooks' pages are of one shape, are all to be found, and their commands are ones that drkit has."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer.main
from ruamel.yaml import YAML

from drkit.cli.main import app
from drkit.config.model import Target
from tests.runbooks import DIRECTORY, Page, index, pages

PAGES = pages()


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> Page:
    """Each of them."""
    return PAGES[request.param]


def test_a_page_begins_with_how_to_recognise_it(page: Page) -> None:
    """Whoever opens a page in trouble sees first whether it is the right one, then what to do."""
    assert page.headings[:2] == ["How to recognise it", "What to do"]
    assert page.text.startswith("# ")
    assert page.blocks


def test_every_page_is_in_the_index_and_links_lead_somewhere(page: Page) -> None:
    """No page is hidden, and no link is broken."""
    assert f"{page.name}.md" in index().links
    for link in (*page.links, *index().links):
        assert (DIRECTORY / link).is_file(), link


def parse(command: Any, words: list[str]) -> None:
    """Have a command take its words, those of the commands under it too. Raises what the command line raises."""
    below = getattr(command, "commands", {})
    if len(words) > 1 and words[1] in below:
        parse(below[words[1]], words[1:])
    else:
        command.make_context(words[0], words[1:])


def test_every_command_of_drkit_is_one(page: Page) -> None:
    """Commands and options are spelt as the program has them."""
    for block in page.blocks:
        for line in block.text.splitlines():
            words = shlex.split(line)
            if words[0] == "drkit":
                parse(typer.main.get_command(app), words)


def test_every_setting_is_one(page: Page) -> None:
    """What a page says to write under ``clusters`` is what the configuration takes there."""
    for text in page.settings:
        document = YAML(typ="safe").load(text)
        assert set(document) == {"clusters"}
        for target in document["clusters"].values():
            Target.model_validate(target)


def test_every_page_is_tried_in_the_lab(page: Page) -> None:
    """The lab's test of them names it, or that of the scheduler, or of a box that only appends."""
    names = ("test_runbooks.py", "test_schedule.py", "test_append_only.py")
    tests = [DIRECTORY.parent / "tests/lab" / name for name in names]
    assert any(f'"{page.name}"' in each.read_text(encoding="utf-8") for each in tests)
