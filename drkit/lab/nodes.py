"""The image of a lab's nodes: a machine, and k3s on it, which is the stand-in or the real one that was given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import APIError, ContainerError

from drkit import process
from drkit.errors import PreflightFailed
from drkit.lab.build import ensure, ensure_layer
from drkit.lab.engine import LABEL
from drkit.lab.k3s import build, given
from drkit.lab.recipes import BASE, Layer, read

if TYPE_CHECKING:
    from docker import DockerClient

    from drkit.lab.k3s.given import GivenK3s
    from drkit.observe.progress import Reporter

_INIT = Path("/proc/1/status")
_SYS_RESOURCE_BIT = 24
"""Of the capabilities' mask (capabilities(7), linux/capability.h)."""


def ensure_node(engine: DockerClient, k3s: GivenK3s | None, reporter: Reporter) -> str:
    """See that the image of a node is there, and return its tag.

    Args:
        engine: where it shall be.
        k3s: the real one; None for the stand-in.
        reporter: whom the build tells how it goes.

    Raises:
        PreflightFailed: what was given is no k3s that runs here, or the image cannot be had.
        DrkitError: the build failed.
    """
    machine = ensure(engine, read("node"), reporter)
    if k3s is None:
        return ensure_layer(engine, _stand_in(machine, reporter), reporter)
    tag = ensure_layer(engine, _given(machine, k3s), reporter)
    _check(engine, tag, k3s)
    return tag


def _stand_in(machine: str, reporter: Reporter) -> Layer:
    def lay_out(root: Path) -> None:
        build.write_node_files(build.build(reporter.note, container_image=BASE), root)

    return Layer("k3s-node", machine, build.files_digest(), lay_out)


def _given(machine: str, k3s: GivenK3s) -> Layer:
    def lay_out(root: Path) -> None:
        given.write_node_files(k3s, build.UNITS, root)

    return Layer("given-k3s-node", machine, given.files_digest(k3s, build.UNITS), lay_out)


def _check(engine: DockerClient, tag: str, k3s: GivenK3s) -> None:
    """Ask it for its version where it shall run: in a node, and without a network."""
    try:
        answer = engine.containers.run(
            tag, [f"/{given.BINARY}", "--version"], network_mode="none", remove=True, labels={f"{LABEL}.check": tag}
        )
        said = answer.decode(errors="replace")
    except (APIError, ContainerError) as error:
        said = str(error)
    if given.version_line(said) is None:
        engine.images.remove(tag, force=True)
        raise PreflightFailed(
            f"{k3s.binary} is not k3s, or not for this machine: asked for its version it said\n{process.tail(said)}",
            "give the binary of a release: github.com/k3s-io/k3s/releases, k3s or k3s-arm64",
        )


def more_capabilities(k3s: GivenK3s | None) -> tuple[str, ...]:
    """What a node needs beyond a topology's: the real k3s sets scores of its own for the kernel's out-of-memory killer.

    The stand-in tells its containerd not to; k3s before March 2026 cannot be told.
    """
    return ("SYS_RESOURCE",) if k3s is not None and may_grant_sys_resource(_INIT.read_text()) else ()


def may_grant_sys_resource(status: str) -> bool:
    """Whether a machine's processes may have SYS_RESOURCE at all, by the ``/proc/1/status`` of it. Pure."""
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding, 16) >> _SYS_RESOURCE_BIT & 1)
