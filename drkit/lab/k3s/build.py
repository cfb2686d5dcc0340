"""Builds the stand-in's programs once, keeps them by the hash of what they are made of, and lays out a node's files."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from drkit import process
from drkit.errors import PreflightFailed
from drkit.lab.k3s import images, recipe
from drkit.state import cache_dir, exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tell = Callable[[str], None]

_GO_PLACES = ("go", "/usr/local/go/bin/go", "/usr/lib/go/bin/go")
_BUILD_SECONDS = 3600.0
_WAIT_SECONDS = 3600.0
_STEP_SECONDS = 30.0
_STANDIN = Path(__file__).with_name("standin")
UNITS = Path(__file__).with_name("units")
"""The systemd units of k3s, the stand-in's and the real one's alike."""

_LABEL = "dev.drkit.lab.build=k3s"
_TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
_GO_IMAGE = "drkit-lab/go:trixie"
_GO_VOLUME = "drkit-lab-go"
_GO_DOCKERFILE = """\
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends golang-go ca-certificates && apt-get clean
"""
_LIBRARY = Path("usr/local/lib/k3s-standin")
_ENTRY = """\
#!/usr/bin/python3
# drkit's stand-in for k3s.
import os
import pathlib
import sys

os.environ["K3S_STANDIN_RELEASE"] = "@RELEASE@"
sys.dont_write_bytecode = True
sys.path.insert(0, "/usr/local/lib/k3s-standin")

if pathlib.Path(sys.argv[0]).name == "kubectl":
    sys.argv.insert(1, "kubectl")
if sys.argv[1:2] == ["kubectl"]:
    # Whoever waits for something asks it several times a second: nothing else is loaded for it.
    from k3s_standin.kubectl import become

    become(sys.argv[2:])

from k3s_standin.main import main

sys.exit(main())
"""


@dataclass(frozen=True)
class Built:
    """The programs, each a static one, by the name of its module."""

    programs: dict[str, Path]


def find_go() -> str | None:
    """A Go on this machine that is new enough; None where there is none."""
    for place in _GO_PLACES:
        found = shutil.which(place)
        if found is None:
            continue
        with suppress(process.DeadlineExceeded, OSError):
            said = process.run([found, "version"], deadline=20.0, env=_environment()).stdout.decode()
            if recipe.new_enough(said):
                return found
    return None


def build(tell: Tell, container_image: str | None = None, modules: Sequence[recipe.Module] = recipe.modules()) -> Built:
    """Build whatever is not in the cache yet: about ten minutes the first time, nothing after that.

    Args:
        tell: gets lines about the progress.
        container_image: a local Docker image of Debian trixie to build in where this machine's Go is too old or
            missing; its package ``golang-go`` is installed there.
        modules: what to build.

    Raises:
        PreflightFailed: there is no way to build, or the build failed.
    """
    place = _cache()
    programs = {module.name: place / f"{module.name}-{recipe.digest(module)}" for module in modules}
    if all(path.exists() for path in programs.values()):
        return Built(programs)
    with (
        exclusive("lab-k3s-build", "building the lab's Kubernetes", _WAIT_SECONDS, _busy, tell),
        _builder(tell, container_image) as command,
    ):
        for module in modules:
            if not programs[module.name].exists():
                _build(module, programs[module.name], command, tell)
    return Built(programs)


def _cache() -> Path:
    place = cache_dir() / "k3s"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _busy(holder: str) -> PreflightFailed:
    return PreflightFailed(f"{holder} is building the lab's Kubernetes", "Wait until it is done, or end it.")


@contextmanager
def _builder(tell: Tell, container_image: str | None) -> Iterator[Callable[[recipe.Module, Path], list[str]]]:
    """What makes, of a module and the directory of its source, the command that builds it there as ``out``."""
    go = find_go()
    if go is not None:
        yield lambda module, source: ["nice", "-n", "10", *recipe.build_command(module, go, str(source / "out"))]
        return
    if container_image is None:
        raise PreflightFailed(
            f"there is no Go {recipe.GO_NEEDED[0]}.{recipe.GO_NEEDED[1]} or newer on this machine",
            "Install one, or let the lab build in a container: it needs Docker.",
        )
    tell("building in a container: this machine has no Go that is new enough")
    _docker(
        ["build", "--network=host", f"--tag={_GO_IMAGE}", f"--label={_LABEL}", "-"], _GO_DOCKERFILE, container_image
    )
    _docker(["volume", "create", f"--label={_LABEL}", _GO_VOLUME])
    try:
        yield _in_container
    finally:
        _docker(["volume", "rm", _GO_VOLUME])


def _in_container(module: recipe.Module, source: Path) -> list[str]:
    """Build in a container that is thrown away; Go's downloads stay in a volume for the next module."""
    # Whom this machine trusts, a company's proxy for one, the container trusts too.
    trust = [f"--volume={_TRUSTED}:{_TRUSTED}:ro"] if _TRUSTED.exists() else []
    return [
        *("docker", "run", "--rm", f"--label={_LABEL}", "--network=host"),
        *(f"--volume={source}:/source", f"--volume={_GO_VOLUME}:/root", "--workdir=/source", *trust),
        *("--env=CGO_ENABLED=0", "--env=GOTOOLCHAIN=auto", *(f"--env={name}" for name in _go_variables())),
        *(_GO_IMAGE, "nice", "-n", "10", *recipe.build_command(module, "go", "/source/out")),
    ]


def _docker(arguments: list[str], dockerfile: str = "", base: str = "") -> None:
    done = process.run(
        ["docker", *arguments],
        deadline=_WAIT_SECONDS,
        env={**process.clean_environment(), "DOCKER_BUILDKIT": "0"},
        stdin=dockerfile.format(base=base).encode(),
    )
    if done.status != 0:
        raise PreflightFailed(
            f"docker {arguments[0]} failed: {process.tail(done.stderr)}", "Docker must run, and Debian be reachable."
        )


def _build(
    module: recipe.Module, program: Path, command: Callable[[recipe.Module, Path], list[str]], tell: Tell
) -> None:
    started = time.monotonic()
    tell(f"building {module.name}: {module.minutes}, once")
    with tempfile.TemporaryDirectory(dir=_cache(), prefix="building-") as directory:
        source = Path(directory) / "source"
        shutil.copytree(module.source, source)
        (source / "go.mod").write_text(recipe.go_mod(module), encoding="utf-8")
        _run(module, command(module, source), source, tell)
        (source / "out").chmod(0o755)
        (source / "out").replace(program)
    tell(f"built {module.name} in {time.monotonic() - started:.0f} s")


def _run(module: recipe.Module, argv: list[str], source: Path, tell: Tell) -> None:
    child = process.spawn(argv, env=_environment(), cwd=str(source), stdout=subprocess.DEVNULL)
    words = process.TailReader(cast("IO[bytes]", child.stderr))
    try:
        for waited in _steps(child.poll):
            tell(f"still building {module.name}: {waited:.0f} s")
    finally:
        process.stop(child)
    if child.returncode != 0:
        raise PreflightFailed(
            f"building {module.name} failed: {process.tail(words.text())}",
            "The build needs the Go module proxy, 4 GB of disk and 3 GB of memory; run it again when they are there.",
        )


def _steps(poll: Callable[[], int | None]) -> Iterator[float]:
    """Wait until ``poll`` says that a child ended; every half minute, the seconds waited so far."""
    started = time.monotonic()
    said = started
    while poll() is None:
        time.sleep(0.2)
        now = time.monotonic()
        if now - started > _BUILD_SECONDS:
            return
        if now - said > _STEP_SECONDS:
            said = now
            yield now - started


def _go_variables() -> dict[str, str]:
    """The proxies of Go and of the machine, as its user names them."""
    prefixes = ("GOPROXY", "GONO", "GOSUMDB", "GOPRIVATE", "HTTP", "http", "NO_PROXY", "no_proxy")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def _environment() -> dict[str, str]:
    """What Go needs. It fetches a newer Go where a module asks for one, and builds programs that need no library."""
    own = {name: value for name, value in os.environ.items() if name in {"GOPATH", "GOCACHE", "GOMODCACHE"}}
    building = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": ""}
    return {**process.clean_environment(), **own, **_go_variables(), **building}


def packaged_images(built: Built) -> tuple[images.Image, ...]:
    """The images that a lab's cluster cannot do without."""
    pause = built.programs["pause"]
    return (
        images.Image(
            "localhost/drkit-lab/pause:1",
            (("/pause", pause), ("/setup", pause), ("/teardown", pause)),
            ("/pause",),
        ),
        images.Image(
            f"localhost/drkit-lab/coredns:{recipe.COREDNS}",
            (("/coredns", built.programs["coredns"]),),
            ("/coredns",),
        ),
        images.Image(
            f"localhost/drkit-lab/local-path-provisioner:{recipe.LOCAL_PATH}",
            (("/local-path-provisioner", built.programs["local-path"]),),
            ("/local-path-provisioner",),
        ),
    )


def program(release: str = "") -> str:
    """The program ``k3s``: of the first release, or of a later one, ``"2"``.

    Beside it a node needs what ``write_node_files`` lays out, which all releases share.
    """
    return _ENTRY.replace("@RELEASE@", release)


def write_node_files(built: Built, root: Path) -> None:
    """Lay out below ``root`` everything that a node's image gets: programs, images, the ``k3s`` command and its units.

    Copy it to ``/`` of an image, and enable ``k3s`` or ``k3s-agent`` on each node.
    """
    library = root / _LIBRARY
    for directory in (library / "bin", library / "images", root / "usr/local/bin", root / "etc/systemd/system"):
        directory.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_STANDIN, library / "k3s_standin", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(built.programs["kubernetes"], library / "bin/kubernetes")
    shutil.copy2(built.programs["kine"], library / "bin/kine")
    for name in recipe.COMPONENTS:
        link = library / "bin" / name
        link.unlink(missing_ok=True)
        link.symlink_to("kubernetes")
    for image in packaged_images(built):
        name = image.name.rpartition("/")[2].replace(":", "-")
        images.write(image, library / f"images/{name}.tar", platform.machine())
    entry = root / "usr/local/bin/k3s"
    entry.write_text(program(), encoding="utf-8")
    entry.chmod(0o755)
    kubectl = root / "usr/local/bin/kubectl"
    kubectl.unlink(missing_ok=True)
    kubectl.symlink_to("k3s")
    for unit in UNITS.iterdir():
        shutil.copyfile(unit, root / "etc/systemd/system" / unit.name)


def files_digest() -> str:
    """Names what ``write_node_files`` lays out, for the tag of an image that holds it."""
    parts = [recipe.digest(module) for module in recipe.modules()]
    own = sorted(path for place in (_STANDIN, UNITS) for path in place.rglob("*") if path.suffix != ".pyc")
    parts += [f"{path.name}:{path.read_text(encoding='utf-8')}" for path in own if path.is_file()]
    return recipe.text_digest([*parts, _ENTRY])
