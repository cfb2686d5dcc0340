"""The stage of the cluster: a lab in containers with its sample workload, and the configuration that comes with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import processes
from demo.play import ActFailed
from demo.stage import environment, run
from drkit.lab import engine, inside
from drkit.lab.engine import LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from demo.stage import Left
    from demo.terminal import Terminal


@dataclass(frozen=True)
class Lab:
    """A lab, and drkit as its user would run it: in the directory of the lab's own ``drkit.yaml``."""

    directory: Path
    name: str

    @property
    def files(self) -> Path:
        """Where the lab's configuration, keys and secrets are."""
        return self.directory / "state" / "drkit" / "labs" / self.name

    def drkit(self, *arguments: str) -> int:
        """Run the real command; its status."""
        return run(arguments, self.files if self.files.exists() else self.directory, self._environment(arguments))

    def ask(self, *arguments: str, also: Collection[int] = ()) -> Any:
        """What a command answers with ``--json``.

        Args:
            arguments: of the command.
            also: exit codes that are as good as 0.

        Raises:
            ActFailed: it did not succeed.
        """
        argv = [str(Path(sys.executable).with_name("drkit")), *arguments, "--json"]
        done = subprocess.run(
            argv, env=self._environment(arguments), cwd=self.files, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 and done.returncode not in also:
            raise ActFailed(f"`drkit {' '.join(arguments)}` ended with exit code {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def in_container(self, member: str, argv: Sequence[str]) -> str:
        """What a program prints in the container of one of the lab's members.

        Raises:
            ActFailed: it did not succeed.
        """
        container = engine.connect().containers.get(f"drkit-lab-{self.name}-{member}")
        status, said = inside.run_in(container, *argv)
        if status != 0:
            raise ActFailed(f"`{' '.join(argv)}` ended with exit code {status}: {said}")
        return said

    def left(self) -> list[str]:
        """The containers, volumes and networks that carry the lab's label."""
        found = engine.connect()
        mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={self.name}"}
        names = [each.name for each in found.containers.list(all=True, filters=mine)]
        names += [each.name for each in found.volumes.list(filters=mine)]
        names += [each.name for each in found.networks.list(filters=mine)]
        return [str(name) for name in names]

    def _environment(self, arguments: Sequence[str]) -> dict[str, str]:
        env = environment(self.directory)
        if arguments[0] == "lab":
            # What was built once is kept for the next lab; it is the machine's and not the demonstration's.
            env["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return env


@contextmanager
def stage(left: Left, terminal: Terminal) -> Iterator[Lab]:
    """A lab that is not up yet, and is gone after the body, however that ends."""
    made = Lab(left.directory, f"demo-{os.getpid()}")
    (left.directory / "tmp").mkdir()
    try:
        yield made
    finally:
        processes.shield()
        terminal.command(f"drkit lab down --name {made.name}")
        made.drkit("lab", "down", "--name", made.name)
        left.stubborn = (*processes.end_descendants(), *made.left())
        shutil.rmtree(left.directory, ignore_errors=True)
        left.said = f"no container, volume or network of the lab is there, {left.directory} is gone"
