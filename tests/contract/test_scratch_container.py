"""What only a scratch server in a container can show."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.errors import PreflightFailed
from drkit.observe.progress import PlainReporter
from drkit.postgres.scratch import container
from tests.stand_in_image import docker, need_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from drkit.lab.postgres import LabPostgres
    from drkit.postgres.scratch.server import Scratch


@pytest.fixture
def image(scratch_image: str, postgres: LabPostgres) -> str:
    """The stand-in's full name."""
    return scratch_image.replace("{major}", str(postgres.major))


def _server(major: int, image: str) -> AbstractContextManager[Scratch]:
    return container.server(major, image, (), None, PlainReporter())


def _inspect(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", name).stdout)
    return found[0]


def test_it_is_shut_in(image: str, postgres: LabPostgres) -> None:
    """Inside are loopback alone, no capability, no way to gain one, and no password; the engine logs nothing."""
    with _server(postgres.major, image) as scratch:
        name = scratch.directory.parent.name
        interfaces = docker("exec", name, "cat", "/proc/net/dev").stdout.splitlines()[2:]
        status = docker("exec", name, "cat", "/proc/1/status").stdout
        inspected = _inspect(name)
    assert [line.split(":")[0].strip() for line in interfaces if not line.strip().startswith(_TUNNELS)] == ["lo"]
    assert "CapEff:\t0000000000000000" in status
    assert "CapPrm:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert inspected["NetworkSettings"]["Ports"] == {}
    assert inspected["HostConfig"]["LogConfig"]["Type"] == "none"
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True
    assert "password" not in json.dumps(inspected).lower()


# What some kernels put into every new network: down, and without an address.
_TUNNELS = ("tunl", "gre", "sit", "ip6", "ip_", "erspan")


def test_container_and_volumes_are_removed(image: str, postgres: LabPostgres) -> None:
    """After the work the engine has neither the container nor the volume that its data was in."""
    with _server(postgres.major, image) as scratch:
        name = scratch.directory.parent.name
        volumes = [mount["Name"] for mount in _inspect(name)["Mounts"] if mount["Type"] == "volume"]
    assert volumes
    assert docker("container", "inspect", name).returncode != 0
    assert all(docker("volume", "inspect", volume).returncode != 0 for volume in volumes)


@pytest.fixture
def stranded(image: str) -> Iterator[dict[str, str]]:
    """Containers under the label of a dead process, of a living one, and of one on another machine."""
    with subprocess.Popen(["true"]) as ended:
        pass
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    owners = {
        "dead": f"{namespace}.{ended.pid}",
        "living": f"{namespace}.{os.getpid()}",
        "elsewhere": f"{namespace + 1}.{ended.pid}",
    }
    made = {
        whose: docker("create", "--label", f"{container.LABEL}={owner}", image, "true").stdout.strip()
        for whose, owner in owners.items()
    }
    yield made
    docker("rm", "--force", *made.values())


def test_containers_of_the_dead_are_removed(stranded: dict[str, str], image: str, postgres: LabPostgres) -> None:
    """The next run removes what a run that is gone left in the engine, and nothing that may be in use."""
    with _server(postgres.major, image):
        there = {whose: docker("container", "inspect", made).returncode == 0 for whose, made in stranded.items()}
    assert there == {"dead": False, "living": True, "elsewhere": True}


def test_an_image_of_another_version_is_refused(image: str, postgres: LabPostgres) -> None:
    """Another major version would not prove that this one can be restored: the image's version is looked at."""
    with pytest.raises(PreflightFailed, match=f"has PostgreSQL {postgres.major}"), _server(postgres.major + 1, image):
        pass


def test_an_image_without_postgresql_is_refused(postgres: LabPostgres) -> None:
    """An image that cannot run PostgreSQL is named, with what the engine said about it."""
    need_engine()
    empty = f"drkit-tests/empty:{os.getpid()}"
    subprocess.run(["docker", "import", "-", empty], input=bytes(10240), capture_output=True, check=True)
    try:
        with pytest.raises(PreflightFailed, match=f"a container of {empty} does not run it"):
            _server(postgres.major, empty).__enter__()
    finally:
        docker("rmi", empty)
