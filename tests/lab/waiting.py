"""Waiting for conditions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    """Return when ``condition`` holds; fail where it does not within a minute."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true within a minute"
        time.sleep(0.01)
