"""Somebody who drills the shared lab."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.labs import COLD_SECONDS
from tests.lab.site import DRKIT, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from tests.lab.labs import LabUser
    from tests.lab.site import Ran

KEPT, EXCEEDED, LOST, INVALID = 0, 20, 21, 22
_SETTLED_SECONDS = 300.0

Lab = dict[str, Any]


class Driller:
    """Runs ``drkit drill`` as the lab's user does."""

    def __init__(self, lab: Lab, user: LabUser) -> None:
        self.lab, self._user = lab, user
        self.chaos = Path(lab["config"]).parent / "chaos"

    def scenario(self, name: str, text: str) -> None:
        """A scenario of one's own, beside drkit.yaml."""
        self.chaos.mkdir(exist_ok=True)
        (self.chaos / f"{name}.yaml").write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``drkit drill …``."""
        config = [] if arguments[0] == "report" else ["--config", self.lab["config"]]
        return subprocess.Popen(
            ["env", "--default-signal=INT", DRKIT, "drill", *arguments, *config, "--json"],
            env=self._user.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *arguments: str) -> Ran:
        """Run ``drkit drill …`` to its end."""
        return finish(self.start(*arguments), COLD_SECONDS)

    def run(self, name: str) -> tuple[int, dict[str, Any]]:
        """Run a scenario; how the command ended, and its verdict."""
        done = self.finish("run", name)
        assert done.status in {KEPT, EXCEEDED, LOST, INVALID}, f"{done.status}\n{done.out}\n{done.err}"
        verdict: dict[str, Any] = done.json()["verdicts"][0]
        assert verdict["exit_code"] == done.status
        return done.status, verdict

    def records(self) -> set[Path]:
        """Those of all drills so far."""
        return set((Path(self._user.env()["XDG_STATE_HOME"]) / "drkit" / "drills").glob("*.jsonl"))

    def hurt(self, name: str) -> subprocess.Popen[str]:
        """Start a scenario of one fault, and return while that is there."""
        before = self.records()
        child = self.start("run", name)

        def is_confirmed() -> bool:
            return any('"phase":"confirmed"' in each.read_text(encoding="utf-8") for each in self.records() - before)

        until(lambda: is_confirmed() or child.poll() is not None, _SETTLED_SECONDS, every=0.1)
        assert child.poll() is None, child.communicate()
        return child

    def is_whole(self) -> bool:
        """Whether nodes and workload are healthy."""
        found = finish(
            subprocess.Popen(
                [DRKIT, "lab", "status", "--name", self.lab["name"], "--json"],
                env=self._user.env(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        ).json()
        return bool(found["state"] == "up" and found["workload"]["healthy"])

    def settle(self) -> None:
        """Wait until all is whole."""
        until(self.is_whole, _SETTLED_SECONDS, every=1.0)

    def clean(self) -> None:
        """Take the scenarios of one's own away."""
        for each in self.chaos.glob("*.yaml"):
            each.unlink()
