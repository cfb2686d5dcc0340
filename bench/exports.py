"""All objects of a real cluster, the lab's: drkit's export beside what one would type with kubectl."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from bench.figures import MEGABYTES, Figure
from bench.labs import lab
from bench.meter import Program
from bench.tools import ROOT
from drkit.clock import SystemClock
from drkit.cluster.credentials import Identity
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
_NAMESPACES = 10
_WRITERS = 8
_TEXT_CHARACTERS = 600
"""With names, labels and what the API adds an object then has 1 KB."""
_MOST_MEGABYTES = 200.0


def _kubectl(world: World, found: dict[str, Any]) -> Path:
    """The lab's own kubectl, outside of it: nothing of a container's start is in the figures."""
    programs = world.directory / "kubectl"
    programs.mkdir()
    source = f"{found['nodes'][0]['container']}:{_PROGRAMS}/kubernetes"
    subprocess.run(["docker", "cp", source, str(programs / "kubectl")], check=True, stdout=subprocess.DEVNULL)
    return programs


class _Filler:
    """Makes ConfigMaps of 1 KB, the same ones in every run."""

    def __init__(self, kubeconfig: Path) -> None:
        access = read(kubeconfig)
        identity = Identity(access, SystemClock())
        url = urllib3.util.parse_url(access.server)
        self._headers = {"Content-Type": "application/json", **identity.headers()}
        self._pool = urllib3.HTTPSConnectionPool(
            str(url.host), url.port, maxsize=_WRITERS, block=True, ssl_context=identity.context()
        )
        self._random = random.Random(7)
        for number in range(_NAMESPACES):
            self._post("/api/v1/namespaces", {"metadata": {"name": f"bench-{number}"}})

    def fill(self, numbers: range) -> None:
        """Make those with these numbers."""
        print(f"making {len(numbers)} objects", flush=True)
        texts = [self._text() for _ in numbers]
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(self._make, numbers, texts))

    def _text(self) -> str:
        return "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz     \n", k=_TEXT_CHARACTERS))

    def _make(self, number: int, text: str) -> None:
        namespace = f"bench-{number % _NAMESPACES}"
        labels = {"app.kubernetes.io/name": f"app-{number % 50}", "app.kubernetes.io/part-of": "bench"}
        data = {"settings.ini": text, "level": "info", "replicas": "3", "url": f"http://service-{number}:8080/path"}
        obj = {"metadata": {"name": f"settings-{number:05}", "labels": labels}, "data": data}
        self._post(f"/api/v1/namespaces/{namespace}/configmaps", obj)

    def _post(self, path: str, obj: dict[str, Any]) -> None:
        answer = self._pool.request("POST", path, body=json.dumps(obj), headers=self._headers)
        if answer.status != 201:
            raise DrkitError(f"{path}: {answer.status} {answer.data[:200]!r}")


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
        filler = _Filler(kubeconfig)
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
