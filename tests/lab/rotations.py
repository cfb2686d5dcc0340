"""A rotation that is killed before one of its steps: ``python -m tests.lab.rotations WHAT STEP``, where a site is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.config.load import load
from drkit.keys import passphrase, signing_key
from drkit.observe.progress import PlainReporter

if TYPE_CHECKING:
    from tests.lab.site import Site

CONFIG = Path("drkit.yaml")


class Killing(PlainReporter):
    """Kills this process, as ``kill -9`` does, when it is told of the step with this number."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def note(self, text: str) -> None:
        """Count, or end."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        super().note(text)


def killed_at(site: Site, what: str, step: int) -> None:
    """Rotate in a site, ``passphrase`` or ``signing-key``, and be killed before step number ``step``, from 0."""
    command = [sys.executable, "-m", "tests.lab.rotations", what, str(step)]
    root = str(Path(__file__).parents[2])
    env = {**site.env(), "PYTHONPATH": root}
    done = subprocess.run(command, cwd=site.path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done


if __name__ == "__main__":
    if sys.argv[1] == "passphrase":
        config = load(CONFIG)
        passphrase.rotate(config, str(next(iter(config.vaults))), Killing(int(sys.argv[2])))
    else:
        signing_key.rotate(CONFIG, Killing(int(sys.argv[2])))
