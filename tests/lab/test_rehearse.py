"""`drkit lab rehearse`: a cluster is lost whole and comes back with its data, in both modes, and no lab is left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab import containers
from tests.lab.labs import COLD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient

    from tests.lab.labs import LabUser

    Record = Callable[[str, object], None]

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]


@pytest.mark.parametrize("mode", ["etcd", "manifests"])
def test_a_lost_cluster_comes_back(
    lab_user: LabUser, docker_engine: DockerClient, mode: str, record_testsuite_property: Record
) -> None:
    """The application answers with the same data behind load balancer and name, and the document tells it whole."""
    name = f"{lab_user.prefix}-{mode}"
    try:
        found: dict[str, Any] = lab_user.run("rehearse", "--mode", mode, "--json", name=name).json()
    finally:
        lab_user.run("down", name=name)
    assert found["proofs_equal"] is True
    assert found["mode"] == mode
    assert found["point"]
    assert {site["health"] for site in found["sites"].values()} == {200}
    assert all(site["there"] == site["documents"] > 0 for site in found["sites"].values())
    assert {"network", "server server-1", "balancer", "health", "dns"} <= {step["id"] for step in found["steps"]}
    assert {step["status"] for step in found["steps"]} == {"done"}
    assert "<html" in Path(found["report"]).read_text()[:500]
    assert containers.states(docker_engine, name) == {}
    record_testsuite_property(f"seconds of a restore in mode {mode}", found["rto_seconds"])
