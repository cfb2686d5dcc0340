"""Runs a demonstration: ``python -m demo shop|cluster|drill``. Exit code 0 only if every act proved what it should."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from demo import acts, cluster, drill, lab, processes
from demo.play import Act, ActFailed
from demo.stage import Left, new_directory, stage
from demo.terminal import Terminal
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Callable

    Scene = Callable[[Left, Terminal, list[Act]], None]

_INTERRUPTED = 130


def _shop(left: Left, terminal: Terminal, played: list[Act]) -> None:
    with stage(left) as made:
        play = acts.ShopPlay(made, terminal, played)
        for act in acts.ALL:
            act(play)


def _cluster(left: Left, terminal: Terminal, played: list[Act]) -> None:
    with lab.stage(left, terminal) as made:
        play = cluster.ClusterPlay(made, terminal, played)
        for act in cluster.ALL:
            act(play)


def _drill(left: Left, terminal: Terminal, played: list[Act]) -> None:
    with lab.stage(left, terminal) as made:
        play = cluster.ClusterPlay(made, terminal, played)
        for act in drill.ALL:
            act(play)


SCENES: dict[str, Scene] = {"shop": _shop, "cluster": _cluster, "drill": _drill}


def main(scene: Scene) -> int:
    """Play every act of a scene, take everything down, and tell what was proven."""
    _forget_the_users_own()
    processes.adopt_orphans()
    processes.listen()
    terminal = Terminal()
    played: list[Act] = []
    left = Left(new_directory())
    began = time.monotonic()
    status = 0
    try:
        scene(left, terminal, played)
    except KeyboardInterrupt:
        terminal.line("\ninterrupted", "red")
        status = _INTERRUPTED
    except ActFailed as error:
        terminal.line(f"\n{error}", "red")
        status = 1
    except DrkitError as error:
        terminal.line(f"\nerror: {error.message}", "red")
        terminal.line(f"hint: {error.hint}" if error.hint else "")
        status = error.exit_code
    return _summary(terminal, played, left, time.monotonic() - began, status)


def _forget_the_users_own() -> None:
    """Settings of libpq and Borg that are meant for the user's own servers and vaults."""
    for name in [name for name in os.environ if name.startswith(("PG", "BORG_"))]:
        del os.environ[name]


def _summary(terminal: Terminal, played: list[Act], left: Left, seconds: float, status: int) -> int:
    """Say what was proven, and whether anything remains; returns the exit code."""
    terminal.line()
    terminal.line("What was proven", "bold")
    rows = [["", "ACT", "TOOK", "PROVEN"]]
    rows += [["ok" if act.ok else "FAILED", act.title, f"{act.seconds:.1f} s", act.proven] for act in played]
    rows.append(
        [
            "ok" if left.nothing else "FAILED",
            "Leave nothing behind",
            "",
            left.said or f"no process of ours is alive, {left.directory} is gone"
            if left.nothing
            else f"left: {', '.join(left.stubborn) or left.directory}",
        ]
    )
    terminal.table(rows, numbers=(2,))
    proven = status == 0 and left.nothing
    verdict = "everything was proven" if proven else "NOT everything was proven"
    terminal.line(f"{verdict}, in {seconds:.1f} s", "green" if proven else "red")
    return status or int(not left.nothing)


if __name__ == "__main__":
    if sys.argv[1:2] not in [[name] for name in SCENES]:
        sys.exit(f"usage: python -m demo {'|'.join(SCENES)}")
    sys.exit(main(SCENES[sys.argv[1]]))
