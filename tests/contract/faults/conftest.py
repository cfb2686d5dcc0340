"""The machine that faults are done to, and a state directory for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.drill.faults.means import Means
from drkit.lab.nodes import ensure_node
from drkit.observe.progress import PlainReporter
from tests.contract.faults import machine as machines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from tests.contract.faults.machine import Machine

RUN = "20261122T024500Z-of-the-test"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of these tests are nobody else's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def booted(docker_engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The one machine of the session."""
    image = ensure_node(docker_engine, None, PlainReporter())
    with machines.machine(docker_engine, image, tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    """It, whole; what a test that failed left there is gone after it."""
    booted.wait_until_whole()
    yield booted
    booted.sh("for each in /run/drkit-drill/*/undo; do [ -e $each ] && sh $each; done")


@pytest.fixture
def means(machine: Machine) -> Means:
    """What faults on it are done with."""
    return Means(RUN, "of-the-test", {machines.NAME: machine.node}, servers=(machines.NAME,))
