"""A whole cluster that lost every node: how long ``drkit restore`` takes until it answers and every proof is equal.

The lab's cluster with its sample workload, on new servers of the stand-in for Hetzner's API: ``drkit lab rehearse``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from bench.figures import SECONDS, Figure
from bench.labs import DRKIT, environment
from bench.meter import Program
from bench.tools import run
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Book
    from bench.world import World

MODES = ("etcd", "manifests")
_MOST_SECONDS = 300.0


def measure(world: World, book: Book, rounds: int) -> None:
    """Rehearse in both modes, ``rounds`` times; each time in a lab of its own."""
    name, env = f"bench-{os.getpid()}", environment(world)
    for _ in range(rounds):
        for mode in MODES:
            rehearsal = Program([DRKIT, "lab", "rehearse", "--name", name, "--mode", mode, "--json"], env)
            try:
                measured = world.meter.run([(rehearsal,)], world.directory)
                found = json.loads(measured.output)
                if not found["proofs_equal"]:
                    raise DrkitError(f"mode {mode}: the proofs are not equal")
            finally:
                run([DRKIT, "lab", "down", "--name", name], env)
            book.add(f"rehearsal, mode {mode}", "drkit", measured, mode=mode, rto_seconds=found["rto_seconds"])


def figures(book: Book) -> Sequence[Figure]:
    """What a restore took, without what the rehearsal does before it and after."""
    taken = {mode: [each["rto_seconds"] for each in book.raw if each.get("mode") == mode] for mode in MODES}
    return [
        Figure(f"whole cluster lost, mode {mode}: until it answers and is proven", SECONDS, values, _MOST_SECONDS)
        for mode, values in taken.items()
        if values
    ]
