"""Prometheus's own tool, for the tests that ask it; without it they are skipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

_FETCHED = Path(__file__).parents[1] / "build/promtool"


def promtool() -> str:
    """Where it is."""
    found = shutil.which("promtool") or shutil.which(_FETCHED)
    if found is None:
        pytest.skip("no promtool on this machine: tools/promtool gets it")
    return str(found)
