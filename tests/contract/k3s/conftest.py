"""Machines for each module of the suite, and the image of its pods."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.lab.k3s import build, images
from tests.contract.k3s import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUBNETS = iter(f"10.98.{third}.0/24" for third in range(10, 250))


@pytest.fixture(scope="session")
def probe_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the image that the suite's pods run."""
    lacking = nodes.missing()
    if lacking:
        pytest.skip(lacking)
    directory = tmp_path_factory.mktemp("probe")
    program = directory / "probe"
    subprocess.run(
        [build.find_go() or "go", "build", "-o", str(program), str(Path(__file__).parent / "probe/main.go")],
        check=True,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""},
    )
    archive = directory / "probe.tar"
    images.write(images.Image(nodes.PROBE, (("/probe", program),), ("/probe",)), archive, platform.machine())
    return archive


@pytest.fixture(scope="session")
def k3s_image(tmp_path_factory: pytest.TempPathFactory, probe_image: Path) -> Iterator[str]:
    """The image of a machine with k3s on it; asking for the pods' image first skips where none can be made."""
    yield nodes.make_image(tmp_path_factory.mktemp("image"))
    nodes.clean_up("image")


@pytest.fixture(scope="module")
def machines(request: pytest.FixtureRequest, k3s_image: str, probe_image: Path) -> Iterator[nodes.Machines]:
    """A network without machines, and k3s to install on them; all of it is removed after the module."""
    label = "drkit-" + str(request.module.__name__).rpartition(".")[2].replace("_", "-")
    made = nodes.make_machines(label, next(_SUBNETS), k3s_image, probe_image)
    yield made
    nodes.clean_up(label)
