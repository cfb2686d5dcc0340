"""HTML pages that have to be whole and to look right: read strictly, and measured in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
browser_needed = pytest.mark.skipif(not any(map(shutil.which, _BROWSERS)), reason="no Chromium on this machine")
"""The mark of tests that need it."""


class Page(HTMLParser):
    """Sees that what is opened is closed, and keeps what the page refers to and shows."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.shown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is open from here."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It has nothing in it."""
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Only what was opened last is closed."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text is kept."""
        self.shown.append(data)


def self_contained(html: str) -> Page:
    """A page that is well formed, refers to nothing outside of itself and has no script."""
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    assert "script" not in page.tags
    assert not [value for name, value in page.attributes if name in {"src", "href", "action"} or name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)", html)
    assert not [value for _, value in page.attributes if re.search(r"https?:", value)]
    return page


def measured(html: str, script: str, width: int, scratch: Path) -> dict[str, Any]:
    """What ``script`` (the body of a function) returns about the page in a window of this width (pixels)."""
    tail = f'<pre id="measured"></pre><script>\nconst said = (() => {{{script}}})();\n'
    tail += 'document.getElementById("measured").textContent = JSON.stringify(said);\n</script></body>'
    file = scratch / "page.html"
    file.write_text(re.sub(r"<meta http-equiv[^>]*>", "", html).replace("</body>", tail), encoding="utf-8")
    dumped = _run(scratch, width, "--dump-dom", file.as_uri())
    found = re.search(r'<pre id="measured">(\{.*?\})</pre>', dumped)
    assert found is not None, dumped[-2000:]
    said: dict[str, Any] = json.loads(found[1])
    return said


def _run(scratch: Path, width: int, *what: str) -> str:
    browser = next(filter(None, map(shutil.which, _BROWSERS)))
    argv = [browser, "--headless", "--disable-gpu", f"--window-size={width},2000", f"--user-data-dir={scratch}/profile"]
    argv += ["--no-sandbox"] if os.geteuid() == 0 else []
    return subprocess.run([*argv, *what], capture_output=True, text=True, timeout=240, check=True).stdout
