"""A whole cluster, the lab's with its sample workload: how long ``drkit backup`` takes for all of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import MEGABYTES, Figure
from bench.labs import DRKIT, lab
from bench.meter import Program
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Book
    from bench.world import World

FIRST, AGAIN = "first whole backup", "whole backup again"
_MOST_SECONDS = 15.0


def measure(world: World, book: Book, rounds: int) -> None:
    """Back up everything that the cluster is: once into empty repositories, then ``rounds`` times again."""
    with lab(world, "--workload") as found:
        config = Path(found["config"])
        env = {**world.environment("cluster"), "PATH": os.environ["PATH"]}
        backup = Program([DRKIT, "backup", "--config", str(config), "--json"], env)
        for what in (FIRST, *[AGAIN] * rounds):
            measured = world.meter.run([(backup,)], config.parent)
            if not json.loads(measured.output)["complete"]:
                raise DrkitError("the recovery point is not complete")
            book.add(what, "drkit", measured)


def figures(book: Book) -> Sequence[Figure]:
    """Its times, and the memory that it took."""
    peaks = [each.own_peak / 1e6 for each in book.runs(AGAIN, "drkit")]
    return [
        *book.times(FIRST, "drkit", title="whole cluster, first backup"),
        *book.times(AGAIN, "drkit", title="whole cluster, backup again", target=_MOST_SECONDS),
        *([Figure("whole cluster, backup again: peak memory", MEGABYTES, peaks)] if peaks else []),
    ]
