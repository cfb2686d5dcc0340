"""An export's objects put into a fresh cluster's API: drkit beside bare requests, and beside kubectl.

The API server is real and stands alone: etcd without fsync, API server and controller manager on loopback. Every run
gets a new one.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.export_once import export
from bench.figures import MEGABYTES, Figure
from bench.filler import Filler
from bench.meter import Program
from bench.tools import ROOT
from drkit.errors import DrkitError
from drkit.lab.control_plane import control_plane
from drkit.manifests import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.figures import Book
    from bench.meter import Measured
    from bench.world import World
    from drkit.lab.control_plane import ControlPlane
    from drkit.manifests.order import Found

APPLY, MANY, FIFTH = "apply", "apply of many", "apply of a fifth"
BARE = "8 bare PATCH requests at once"
KUBECTL = "kubectl apply --server-side"
_TARGET = 2.0
"""Half the rate of bare requests."""
_MOST_MEGABYTES = 200.0
_OURS = "bench-"
_PART = 5


@contextmanager
def _plane() -> Iterator[ControlPlane]:
    with TemporaryDirectory(prefix="drkit-bench-plane-") as directory, control_plane(Path(directory)) as running:
        yield running


class _Sealed:
    """An export of so many objects, also in the forms in which others take them."""

    def __init__(self, directory: Path, count: int) -> None:
        directory.mkdir()
        self.count = count
        self.archive, self.details = directory / "archive", directory / "details.json"
        self.lines, self.fifth = directory / "lines", directory / "fifth.json"
        with _plane() as plane:
            Filler(plane.access).fill(range(count))
            details = export(plane.access, self.archive)
        self.details.write_text(json.dumps(details), encoding="utf-8")
        with self.archive.open("rb") as archive:
            self._write(list(read.wished(read.objects(archive.read, details))))

    def _write(self, wished: Sequence[Found]) -> None:
        namespaces = [(kind, obj) for kind, obj in wished if obj["metadata"]["name"].startswith(_OURS)]
        objects = [(kind, obj) for kind, obj in wished if obj["metadata"].get("namespace", "").startswith(_OURS)]
        objects = [(kind, obj) for kind, obj in objects if kind.plural == "configmaps"]
        with self.lines.open("w", encoding="utf-8") as file:
            for kind, obj in [*namespaces, *objects]:
                metadata = obj["metadata"]
                file.write(f"{kind.object_path(metadata.get('namespace', ''), metadata['name'])}\n{json.dumps(obj)}\n")
        items = [obj for _, obj in [*namespaces, *objects[: self.count // _PART]]]
        self.fifth.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")


def measure(world: World, book: Book, rounds: int, some: int, many: int) -> None:
    """Apply in both ways, in turn; a fifth of it with kubectl, once; then drkit alone with many objects.

    Args:
        world: where.
        book: takes the measurements.
        rounds: how often.
        some: objects for the comparison.
        many: objects for the memory that it takes.
    """
    sealed = _Sealed(world.directory / "apply-some", some)
    for _ in range(rounds):
        book.add(APPLY, "drkit", _drkit(world, sealed))
        book.add(APPLY, BARE, _bare(world, sealed))
    book.add(FIFTH, KUBECTL, _kubectl(world, sealed))
    book.add(MANY, "drkit", _drkit(world, _Sealed(world.directory / "apply-many", many)))


def _drkit(world: World, sealed: _Sealed) -> Measured:
    with _plane() as plane:
        measured = _python(
            world, plane, "bench.apply_once", str(plane.kubeconfig), str(sealed.archive), str(sealed.details)
        )
    if int(measured.output) < sealed.count:
        raise DrkitError(f"drkit applied {measured.output.strip()} objects of {sealed.count}")
    return measured


def _bare(world: World, sealed: _Sealed) -> Measured:
    with _plane() as plane:
        return _python(world, plane, "bench.apply_bare", str(plane.kubeconfig), str(sealed.lines))


def _python(world: World, plane: ControlPlane, *words: str) -> Measured:
    env = {**world.environment("apply"), "PYTHONPATH": str(ROOT)}
    return _run(world, plane, Program([sys.executable, "-m", *words], env))


def _kubectl(world: World, sealed: _Sealed) -> Measured:
    with _plane() as plane:
        argv = [str(plane.programs / "kubectl"), f"--kubeconfig={plane.kubeconfig}", "apply", "--server-side"]
        return _run(world, plane, Program([*argv, "-f", str(sealed.fifth)], world.environment("apply"), discard=True))


def _run(world: World, plane: ControlPlane, program: Program) -> Measured:
    return world.meter.beside(plane.pids).run([(program,)], world.directory)


def figures(book: Book) -> Sequence[Figure]:
    """The ratio, times, and the memory that it took."""
    found = book.ratio(APPLY, "drkit", BARE, title=f"apply: drkit / {BARE}", target=_TARGET)
    for what, who in ((APPLY, "drkit"), (APPLY, BARE), (FIFTH, KUBECTL), (MANY, "drkit")):
        found += book.times(what, who, title=f"{what}: {who}")
    peaks = [each.own_peak / 1e6 for each in book.runs(MANY, "drkit")]
    if peaks:
        found.append(Figure("apply of many objects: peak memory", MEGABYTES, peaks, _MOST_MEGABYTES))
    return found
