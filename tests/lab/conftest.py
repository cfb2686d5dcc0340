"""The lab that the session's tests share, made by the real command; what killed sessions left is removed first."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from drkit.lab import engine
from tests.lab.labs import LabUser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

_OURS = re.compile(r"test-(\d+)(-.*)?")


@pytest.fixture(scope="session")
def docker_engine() -> DockerClient:
    """The Docker engine. Where there is none the tests that need it fail, and say what is missing."""
    return engine.connect()


@pytest.fixture(scope="session")
def lab_user(docker_engine: DockerClient, lab_directory: Path) -> Iterator[LabUser]:
    """Somebody who runs ``drkit lab``, and whose labs are gone after the session."""
    from drkit.lab import containers  # noqa: PLC0415 - needs the package docker, which the fixture above checks

    for name in containers.labs(docker_engine):
        match = _OURS.fullmatch(name)
        if match and not os.path.exists(f"/proc/{match[1]}"):  # noqa: PTH110 - a name, not a file
            containers.remove(docker_engine, name)
    user = LabUser(lab_directory / "lab-user", f"test-{os.getpid()}")
    user.home.mkdir()
    yield user
    for name in containers.labs(docker_engine):
        if name == user.prefix or name.startswith(f"{user.prefix}-"):
            user.run("down", name=name)


@pytest.fixture(scope="session")
def lab(lab_user: LabUser) -> dict[str, object]:
    """The shared lab: one server, two agents, what ``drkit lab status --json`` says of it. Left as it was found."""
    found: dict[str, object] = lab_user.run("up", "--json", name=lab_user.prefix).json()
    return found


@pytest.fixture(scope="session")
def workload(lab_user: LabUser, lab: dict[str, object]) -> dict[str, object]:
    """The shared lab with the sample workload on it."""
    found: dict[str, object] = lab_user.run("up", "--workload", "--json", name=lab_user.prefix).json()
    return found
