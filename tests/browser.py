"""A real browser without a window, for pages that have to look right: what it measures in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
needed = pytest.mark.skipif(not any(map(shutil.which, _BROWSERS)), reason="no Chromium on this machine")
"""The mark of tests that need it."""


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
