"""All objects of a real cluster, the lab's: drkit's export beside what one would type with kubectl."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figures import MEGABYTES, Figure
from bench.filler import Filler
from bench.labs import lab
from bench.meter import Program
from bench.tools import ROOT
from drkit.cluster.kubeconfig import read
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Book
    from bench.world import World

EXPORT, MANY = "export", "export of many"
KUBECTL = "kubectl get -A -o yaml"
# api-resources and one get of all that it names, as the usual advice has it.
_RECIPE = 'exec >"$1"; kubectl get -A -o yaml "$(kubectl api-resources --verbs=list -o name | paste -sd,)"'
_PROGRAMS = "/usr/local/lib/k3s-standin/bin"
_MOST_MEGABYTES = 200.0


def _kubectl(world: World, found: dict[str, Any]) -> Path:
    """The lab's own kubectl, outside of it: nothing of a container's start is in the figures."""
    programs = world.directory / "kubectl"
    programs.mkdir()
    source = f"{found['nodes'][0]['container']}:{_PROGRAMS}/kubernetes"
    subprocess.run(["docker", "cp", source, str(programs / "kubectl")], check=True, stdout=subprocess.DEVNULL)
    return programs


def measure(world: World, book: Book, rounds: int, some: int, many: int) -> None:
    """Export both ways, in turn; then drkit alone with many objects.

    Args:
        world: where.
        book: takes the measurements.
        rounds: how often.
        some: objects for the comparison.
        many: objects for the memory that it takes.
    """
    with lab(world, "--agents", "0") as found:
        kubeconfig = Path(found["kubeconfig"])
        path = f"{_kubectl(world, found)}:{os.environ['PATH']}"
        filler = Filler(read(kubeconfig))
        filler.fill(range(some))
        env = world.environment("export")
        ours = Program(
            [sys.executable, "-m", "bench.export_once", str(kubeconfig), str(world.directory / "export.tar")],
            {**env, "PYTHONPATH": str(ROOT)},
        )
        theirs = Program(
            ["sh", "-c", _RECIPE, "sh", str(world.directory / "all.yaml")],
            {**env, "PATH": path, "KUBECONFIG": str(kubeconfig)},
        )
        for _ in range(rounds):
            for who, program in (("drkit", ours), (KUBECTL, theirs)):
                measured = world.meter.run([(program,)], world.directory)
                book.add(EXPORT, who, measured)
                if who == "drkit" and int(measured.output) < some:
                    raise DrkitError(f"drkit exported {measured.output.strip()} objects of more than {some}")
        filler.fill(range(some, many))
        for _ in range(rounds):
            book.add(MANY, "drkit", world.meter.run([(ours,)], world.directory))


def figures(book: Book) -> Sequence[Figure]:
    """The ratio, times, and the memory that it took."""
    found = book.ratio(EXPORT, "drkit", KUBECTL, title=f"export: drkit / {KUBECTL}", target=1.0)
    for who in ("drkit", KUBECTL):
        found += book.times(EXPORT, who, title=f"export: {who}")
    peaks = [each.own_peak / 1e6 for each in book.runs(MANY, "drkit")]
    if peaks:
        found += book.times(MANY, "drkit", title="export of many objects: drkit")
        found.append(Figure("export of many objects: peak memory", MEGABYTES, peaks, _MOST_MEGABYTES))
    return found
