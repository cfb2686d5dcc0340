"""A lab for the time of a measurement."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tools import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.world import World

DRKIT = str(Path(sys.executable).with_name("drkit"))
_LAB_SECONDS = 3600.0


@contextmanager
def lab(world: World, *options: str) -> Iterator[dict[str, Any]]:
    """What ``drkit lab status`` says of a lab that was brought up with these options, and is removed after the body."""
    name, env = f"bench-{os.getpid()}", environment(world)
    try:
        yield json.loads(run([DRKIT, "lab", "up", "--name", name, *options, "--json"], env, _LAB_SECONDS))
    finally:
        run([DRKIT, "lab", "down", "--name", name], env)


def environment(world: World) -> dict[str, str]:
    """Who brings labs up. What a lab is built of is the user's, so that it is built once."""
    kept = {key: os.environ[key] for key in ("HOME", "XDG_CACHE_HOME", "PATH") if key in os.environ}
    return {**kept, "XDG_STATE_HOME": str(world.directory / "lab-state")}
