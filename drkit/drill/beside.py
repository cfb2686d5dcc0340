"""What runs while faults are there: a backup, whose own end is an event of the drill."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.drill.record import BACKUP_ENDED, Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.drill.record import Recorder

_MAIN = "from drkit.cli.main import main; main()"
_SECONDS = 900.0
BACKUP = "backup"


@contextmanager
def beside(what: str, config_file: Path, recorder: Recorder) -> Iterator[None]:
    """Have it run from the body's begin on, and wait for its end. How it ended is in the record.

    Args:
        what: ``backup``; nothing runs where it is empty.
        config_file: the configuration of the command.
        recorder: of the drill.
    """
    if not what:
        yield
        return
    child = process.spawn(
        [sys.executable, "-P", "-c", _MAIN, what, "--json", "--config", str(config_file.absolute())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
        try:
            said, _ = child.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            said = b""
    finally:
        process.stop(child)
    recorder.write(Event(recorder.at(), BACKUP_ENDED, what, _about(said, child.returncode)), durably=True)


def _about(said: bytes, status: int) -> dict[str, str]:
    """Its exit status, and the point that it sealed or why it did not."""
    try:
        document = json.loads(said)
        point = str(document.get("point", {}).get("id", "")) or str(document.get("error", {}).get("message", ""))
    except (ValueError, AttributeError):
        point = ""
    return {"status": str(status), "said": point}
