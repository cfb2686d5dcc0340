"""Making the lab's images: pulled where a registry answers, else built from Debian's packages."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO

from docker.errors import APIError, DockerException, ImageNotFound

from drkit import process
from drkit.errors import DrkitError, PreflightFailed
from drkit.lab.recipes import BASE, REPOSITORY, SUITE, Layer, Recipe
from drkit.state import cache_dir, exclusive
from drkit.workspace import workspace

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from drkit.observe.progress import Reporter

_PULLED = f"debian:{SUITE}-slim"
_BUILD_SECONDS = 3600.0
"""The longest that another process may take to build an image that is wanted here too."""


def ensure(engine: DockerClient, recipe: Recipe, reporter: Reporter) -> str:
    """See that the image of ``recipe`` is there, and return its tag.

    Raises:
        DrkitError: the build failed; the last lines of its output are in the message.
        PreflightFailed: the base image can neither be pulled nor built here.
    """
    if is_here(engine, recipe.tag):
        return recipe.tag
    with _one_at_a_time(recipe.name, reporter):
        if not is_here(engine, recipe.tag):
            if recipe.base == BASE:
                ensure_base(engine, reporter)
            with reporter.task(f"building the image {recipe.name}"):
                _build(engine, recipe.name, recipe.tag, recipe.base, io.BytesIO(recipe.context()), reporter)
    return recipe.tag


def ensure_layer(engine: DockerClient, layer: Layer, reporter: Reporter) -> str:
    """See that the image of ``layer`` is there, and return its tag; raises what ``ensure`` does."""
    if is_here(engine, layer.tag):
        return layer.tag
    with _one_at_a_time(layer.name, reporter), workspace(cache_dir() / "lab") as directory:
        if not is_here(engine, layer.tag):
            root = directory / "root"
            root.mkdir(mode=0o755)
            layer.lay_out(root)
            with reporter.task(f"building the image {layer.name}"), (directory / "context.tar").open("w+b") as file:
                _layer_context(root, file)
                _build(engine, layer.name, layer.tag, layer.base, file, reporter)
    return layer.tag


def _layer_context(root: Path, file: BinaryIO) -> None:
    dockerfile = b"ARG BASE\nFROM ${BASE}\nCOPY root/ /\n"
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile))
        archive.add(root, "root")
    file.seek(0)


def ensure_base(engine: DockerClient, reporter: Reporter) -> None:
    """See that the image that all others stand on is there.

    Raises:
        PreflightFailed: it can neither be pulled nor built here; the text names what is missing for both.
    """
    with _one_at_a_time("base", reporter):
        if is_here(engine, BASE):
            return
        try:
            with reporter.task(f"pulling {_PULLED}"):
                engine.images.pull(_PULLED).tag(BASE)
        except DockerException as error:
            reporter.note(f"{_PULLED} cannot be pulled ({error}); it is built from Debian's packages instead")
            _bootstrap(engine, reporter)


def is_here(engine: DockerClient, tag: str) -> bool:
    """Whether the engine has an image of that name."""
    try:
        engine.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _one_at_a_time(name: str, reporter: Reporter) -> Any:
    return exclusive(
        f"lab-image-{name}",
        f"building the lab's image {name}",
        _BUILD_SECONDS,
        lambda holder: DrkitError(f"the lab's image {name} is still being built by {holder}"),
        lambda holder: reporter.note(f"the image {name} is being built by {holder}: waiting for it"),
    )


def _build(engine: DockerClient, name: str, tag: str, base: str, context: BinaryIO, reporter: Reporter) -> None:
    # The classic builder on purpose: it is in every engine, while BuildKit's client is a package of its own.
    lines: list[str] = []
    answer = engine.api.build(
        fileobj=context,
        custom_context=True,
        tag=tag,
        buildargs={"BASE": base},
        labels={f"{REPOSITORY}.image": name},
        rm=True,
        forcerm=True,
        decode=True,
        use_config_proxy=True,
    )
    try:
        for message in answer:
            text = str(message.get("stream", "")).strip()
            lines.append(text)
            if text.startswith("Step "):
                reporter.note(f"{name}: {text.split(' : ', 1)[0].lower()}")
            if "error" in message:
                said = process.tail("\n".join([*lines, message["error"]]))
                raise DrkitError(
                    f"the image {name} could not be built\n{said}",
                    "Debian's package mirror must be reachable from containers",
                )
    except APIError as error:
        raise DrkitError(f"the image {name} could not be built: {error}") from error


def _bootstrap(engine: DockerClient, reporter: Reporter) -> None:
    missing = [program for program in ("debootstrap", "tar") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        lacks = " and ".join([*missing, *(["root's rights"] if os.geteuid() != 0 else [])])
        raise PreflightFailed(
            f"{_PULLED} cannot be pulled, and to build it from Debian's packages this machine lacks {lacks}",
            "make a registry reachable (docker pull debian:trixie-slim), or, as root: apt-get install debootstrap",
        )
    with workspace(cache_dir() / "lab") as directory, reporter.task(f"debootstrap of Debian {SUITE}"):
        root = directory / "root"
        # Mounts of its own: what it mounts is gone with it, also when it is killed, and no removal reaches into it.
        argv = ["unshare", "--mount", "debootstrap", "--variant=minbase", SUITE, str(root), *_mirror()]
        done = process.run(argv, deadline=_BUILD_SECONDS, env=process.clean_environment())
        if done.status != 0:
            said = done.stdout.decode(errors="replace") + done.stderr
            raise DrkitError(f"debootstrap failed\n{process.tail(said)}", "Debian's package mirror must be reachable")
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        _import(engine, root)


def _mirror() -> list[str]:
    """The mirror that this machine's own apt uses; debootstrap's default where it is not a Debian."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    try:
        done = process.run(argv, deadline=30, env=process.clean_environment())
    except FileNotFoundError:
        return []
    found = [line for line in done.stdout.decode().splitlines() if "security" not in line]
    return found[:1]


def _import(engine: DockerClient, root: Path) -> None:
    tar = process.spawn(["tar", "--numeric-owner", "-C", str(root), "-c", "."])
    try:
        engine.api.import_image(src=tar.stdout, stream_src=True, repository=f"{REPOSITORY}/importing", tag=SUITE)
        if tar.wait() != 0:
            raise DrkitError("tar could not read the new Debian to its end", "is there room on the disk?")
        engine.images.get(f"{REPOSITORY}/importing:{SUITE}").tag(BASE)
    finally:
        process.stop(tar)
        if is_here(engine, f"{REPOSITORY}/importing:{SUITE}"):
            engine.images.remove(f"{REPOSITORY}/importing:{SUITE}")
