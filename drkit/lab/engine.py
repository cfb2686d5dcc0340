"""The Docker engine, through its ordinary API."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "dev.drkit.lab"
"""The label that everything of a lab carries; its value is the lab's name."""

OLDEST_API = (1, 41)
"""Docker 20.10: private cgroup namespaces came with it."""

_TIMEOUT_SECONDS = 600
"""For one answer: an image of a gigabyte takes its time to be read in."""


def connect() -> DockerClient:
    """A connection to the engine that ``DOCKER_HOST`` names, or to the local one.

    Raises:
        PreflightFailed: there is none that can run a lab; the text names what is missing.
    """
    try:
        import docker  # noqa: PLC0415 - an extra: who has no lab needs no Docker
        from docker.errors import DockerException  # noqa: PLC0415 - see above
    except ModuleNotFoundError:
        raise PreflightFailed(
            "the Python package docker is not here, which the lab needs", "install it: pip install 'drkit[lab]'"
        ) from None
    if platform.system() != "Linux":
        raise PreflightFailed(
            "the lab's containers are reached by their own addresses, which works on Linux alone",
            "run it in a virtual machine with Debian and Docker",
        )
    try:
        client = docker.from_env(timeout=_TIMEOUT_SECONDS)
        version = client.version()
    except DockerException as error:
        raise _unreachable(error) from None
    if version.get("Os") != "linux" or _numbers(version["ApiVersion"]) < OLDEST_API:
        raise PreflightFailed(
            f"the Docker engine is {version.get('Version')} ({version.get('Os')}), too old or of another kind",
            "the lab needs Docker 20.10 or newer on Linux",
        )
    return client


def _unreachable(error: Exception) -> PreflightFailed:
    text = str(error)
    if "Permission denied" in text:
        return PreflightFailed(
            "the Docker engine is here, and this user may not use it",
            "run it as root, or: sudo usermod -aG docker $USER, and log in again",
        )
    if named := os.environ.get("DOCKER_HOST"):
        return PreflightFailed(f"no Docker engine answers at {named}: {text}", "start it, or unset DOCKER_HOST")
    if shutil.which("dockerd", path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin") is None:
        return PreflightFailed(
            "there is no Docker engine on this machine", "install it (Debian: apt-get install docker.io debootstrap)"
        )
    has_systemd = Path("/run/systemd/system").is_dir()
    start = "sudo systemctl start docker" if has_systemd else "sudo sh -c 'dockerd >/var/log/dockerd.log 2>&1 &'"
    return PreflightFailed(f"no Docker engine answers: {text}", f"start it: {start}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
