"""What is sent to a node is never left there in part, whenever the signal to end comes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from drkit.cluster.watched_node import _SEND
from tests.lab.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

_RUNS = 600
_LATEST_SECONDS = 0.003
"""Of the signal, after the input's end: the shell has ended by then."""


def test_a_signal_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    """Input that ends too early and a signal to end, at the same time or shortly after, leave no part of a file."""
    for run in range(_RUNS):
        sending = subprocess.Popen(
            ["sh", "-c", _SEND, "sh", tmp_path / "file", "600", "1000", "?"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert sending.stdin is not None
        until(lambda: any(tmp_path.iterdir()), every=0.0001)
        sending.stdin.close()
        time.sleep(_LATEST_SECONDS * run / _RUNS)
        with suppress(ProcessLookupError):
            os.killpg(sending.pid, signal.SIGTERM)
        sending.wait()
        assert not any(tmp_path.iterdir())
