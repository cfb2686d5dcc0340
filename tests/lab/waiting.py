"""Waiting for conditions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 60.0


def until(condition: Callable[[], object], seconds: float = _SECONDS, every: float = 0.01) -> float:
    """Return the seconds that it took until ``condition`` held; fail where it does not within ``seconds``.

    Args:
        condition: what is waited for.
        seconds: how long, at most.
        every: how many seconds to leave between two looks: longer where a look costs something.
    """
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, f"the condition did not come true within {seconds:.0f} s"
        time.sleep(every)
    return time.monotonic() - started
