"""The machines of the suite, the image of its pods, and the cluster that most modules share."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.lab import nodes as node_images
from drkit.lab.build import ensure_base
from drkit.lab.k3s import build, images
from drkit.lab.k3s.given import BINARY_VARIABLE, IMAGES_VARIABLE, given
from drkit.lab.k3s.recipe import Module
from drkit.lab.recipes import BASE
from drkit.observe.progress import PlainReporter
from tests.contract.k3s import machines as suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.contract.k3s.machines import Machines


@pytest.fixture(scope="session")
def machines(docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A network without machines, and what they are made of: the lab's node image, with the given k3s or without."""
    reporter = PlainReporter()
    named = [os.environ.get(variable) for variable in (BINARY_VARIABLE, IMAGES_VARIABLE)]
    k3s = given(*(Path(name) if name else None for name in named))
    image = node_images.ensure_node(docker_engine, k3s, reporter)
    ensure_base(docker_engine, reporter)
    program = build.build(reporter.note, BASE, [Module("probe", (), place=Path(__file__).parent)]).programs["probe"]
    archive = tmp_path_factory.mktemp("probe") / "probe.tar"
    images.write(images.Image(suite.PROBE, (("/probe", program),), ("/probe",)), archive, platform.machine())
    with suite.network(docker_engine) as subnet:
        yield suite.Machines(docker_engine, subnet, image, node_images.more_capabilities(k3s), archive)
