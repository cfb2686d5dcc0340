"""The images of the workload's pods: how they are made, and how they come to the nodes without a registry."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import DrkitError
from drkit.lab import inside
from drkit.lab.build import ensure
from drkit.lab.recipes import POSTGRES, File, Recipe, read
from drkit.state import cache_dir, exclusive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import docker.models.containers
    from docker import DockerClient

    from drkit.observe.progress import Reporter

CNPG, INGRESS, APP = "cnpg-stand-in", "ingress-stand-in", "docfast"

_LAB = Path(__file__).parents[1]
_PROGRAMS = {
    CNPG: ("cnpg_standin", _LAB / "cnpg/standin"),
    INGRESS: ("ingress_standin", _LAB / "workload/ingress"),
    APP: ("docfast", _LAB / "workload/docfast"),
}
"""What is copied into an image beside its recipe: the package's name there, and where it is here."""

_TRANSFER_SECONDS = 900.0


def recipe(name: str, base: str) -> Recipe:
    """The recipe of one of the workload's images, with the program that goes into it."""
    plain = read(name, base)
    package, directory = _PROGRAMS[name]
    program = tuple(File(f"{package}/{path.name}", path.read_bytes()) for path in sorted(directory.glob("*.py")))
    return Recipe(plain.name, plain.base, (*plain.files, *program))


def ensure_all(engine: DockerClient, reporter: Reporter) -> dict[str, str]:
    """See that the images are there, and return the name of each in the cluster; raises what ``ensure`` does.

    All stand on PostgreSQL's image: a node then has most of them once.
    """
    plain = read(POSTGRES)
    tags = {POSTGRES: ensure(engine, plain, reporter)}
    for name in (CNPG, INGRESS, APP):
        tags[name] = ensure(engine, recipe(name, tags[POSTGRES]), reporter)
    names = {name: in_cluster(name, tag) for name, tag in tags.items()}
    for name, tag in tags.items():
        engine.images.get(tag).tag(names[name])
    return names


def in_cluster(name: str, tag: str) -> str:
    """What the cluster calls an image. CloudNativePG reads PostgreSQL's major version off the tag's beginning. Pure."""
    digest = tag.rpartition(":")[2]
    return f"lab/postgresql:17-{digest}" if name == POSTGRES else f"lab/{name}:{digest}"


def give(engine: DockerClient, nodes: Sequence[str], names: Iterable[str], reporter: Reporter) -> None:
    """See that the containerd of each of ``nodes`` (names of containers) has the images.

    Raises:
        DrkitError: an image could not be read or imported.
    """
    wanted = sorted(names)
    lacking = [node for node in nodes if not set(wanted) <= _images_of(engine.containers.get(node))]
    if not lacking:
        return
    with reporter.task(f"copying {len(wanted)} images to {len(lacking)} nodes"):
        file = archive(wanted)
        with ThreadPoolExecutor(max_workers=len(lacking)) as pool:
            list(pool.map(lambda node: _import(node, file), lacking))


def _images_of(node: docker.models.containers.Container) -> set[str]:
    listed = inside.run_in(node, "k3s", "ctr", "images", "ls", "-q")[1].split()
    return {each.removeprefix("docker.io/") for each in listed}


def archive(names: Sequence[str]) -> Path:
    """All the images in one file, in which shared layers are once; kept for the next lab."""
    place = cache_dir() / "lab"
    place.mkdir(mode=0o700, exist_ok=True)
    path = place / f"workload-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:12]}.tar"
    with exclusive("lab-workload-images", "saving the workload's images", _TRANSFER_SECONDS, _busy, lambda _: None):
        if not path.exists():
            for old in place.glob("workload-*.tar*"):
                old.unlink()
            temporary = path.with_suffix(".tar.new")
            _run(["docker", "save", "--output", str(temporary), *names])
            temporary.replace(path)
    return path


def _busy(holder: str) -> DrkitError:
    return DrkitError(f"{holder} is still saving the workload's images", "wait for it, or end it")


def _import(node: str, archive: Path) -> None:
    inside = "/var/lib/lab/workload-images.tar"
    _run(["docker", "cp", str(archive), f"{node}:{inside}"])
    _run(["docker", "exec", node, "sh", "-c", f"k3s ctr images import {inside}; s=$?; rm -f {inside}; exit $s"])


def _run(argv: list[str]) -> None:
    done = process.run(argv, deadline=_TRANSFER_SECONDS, env=_environment())
    if done.status != 0:
        said = done.stdout.decode(errors="replace") + done.stderr
        raise DrkitError(f"{' '.join(argv[:2])} failed\n{process.tail(said)}")


def _environment() -> Mapping[str, str]:
    named = {key: value for key, value in os.environ.items() if key.startswith("DOCKER_")}
    return {**process.clean_environment(), **named}
