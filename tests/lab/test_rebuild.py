"""A cluster that is lost whole, brought back on other machines by one command, in both modes, killed on the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.labs import COLD_SECONDS
from tests.lab.rebuilds import CLUSTER, DATABASE, SPARES, Lost, ended, lose
from tests.lab.site import Site
from tests.lab.waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from drkit.lab.postgres import LabPostgres
    from tests.lab.labs import LabUser

CUT_SECONDS = 70.0
"""Longer than connections wait for a sign of life."""

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]


@pytest.fixture(scope="module")
def lost(
    lab_user: LabUser, docker_engine: DockerClient, postgres: LabPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    """The sample workload on one server and one agent, backed up, and its nodes destroyed."""
    name = f"{lab_user.prefix}-lost"
    options = ("--servers", "1", "--agents", "1", "--workload", "--json")
    lab: dict[str, Any] = lab_user.run("up", *options, name=name).json()
    directory: Path = tmp_path_factory.mktemp("lost")
    yield lose(lab, Site(directory, postgres), docker_engine)
    lab_user.run("down", name=name)


def is_whole(lost: Lost, report: dict[str, Any]) -> None:
    """The proofs are equal, no old node is there, nothing is held, and the application has its data."""
    assert report["proofs_equal"] is True
    assert {each["status"] for each in report["steps"]} == {"done"}
    assert {each["metadata"]["name"] for each in lost.items("nodes")} == set(SPARES)
    until(lost.serves, 240, 1)
    held = lost.kubectl("get", "deployments,statefulsets,cronjobs", "-A", "-o", "json").out
    assert "drkit.dev/held" not in held
    until(
        lambda: [each["status"].get("readyInstances") for each in lost.items("clusters.postgresql.cnpg.io")] == [2],
        240,
        1,
    )


def test_mode_etcd_brings_it_back(lost: Lost) -> None:
    """With its old identity and the same data; a part that is lost later comes back alone."""
    with lost.spares():
        report = lost.restored("--mode", "etcd", "--old-is-dead")
        is_whole(lost, report)
        steps = {each["id"] for each in report["steps"]}
        assert {"scrub", f"postgres {DATABASE}", f"prove {DATABASE}/docfast", "release", "objects"} <= steps
        assert lost.kubectl("delete", "configmap", "settings", "-n", "docfast").status == 0
        lost.restored("--only", "manifests/docfast/ConfigMap/settings")
        assert lost.kubectl("get", "configmap", "settings", "-n", "docfast").status == 0


def test_mode_manifests_brings_it_back(lost: Lost) -> None:
    """With a fresh identity: all objects are applied, the databases' passwords kept, and the data is the same."""
    with lost.spares():
        report = lost.restored("--mode", "manifests", "--old-is-dead")
        is_whole(lost, report)
        assert report["mode"] == "manifests"


@pytest.mark.parametrize("mode", ["etcd", "manifests"])
def test_killed_again_and_again_it_ends_the_same(lost: Lost, mode: str) -> None:
    """After kill -9 in the middle of one step after the other, each --resume goes on, and the end is the same."""
    with lost.spares():
        child = lost.start("--mode", mode, "--old-is-dead")
        for step in killed_in(mode):
            kill_in(lost, child, step)
            child = lost.start("--resume", "--json")
        done = ended(child)
        assert done.status == 0, f"{done.out}\n{done.err}"
        is_whole(lost, done.json())
        assert len(done.json()["attempts"]) == 1 + len(killed_in(mode))


def test_machines_that_reboot_on_the_way(lost: Lost) -> None:
    """A server that loses its power while the agent joins is waited for, and an agent with a database in mid-load."""
    with lost.spares():
        child = lost.start("--mode", "etcd", "--old-is-dead", "--json")
        for step, machine in ((f"join {SPARES[1]}", SPARES[0]), (f"load {DATABASE}/docfast", SPARES[1])):
            until(lambda step=step: lost.has_begun(step) or child.poll() is not None, 600, 0.05)  # type: ignore[misc]
            assert child.poll() is None, ended(child)
            lost.power_cut(machine)
        done = ended(child)
        assert done.status == 0, f"{done.out}\n{done.err}"
        is_whole(lost, done.json())
        assert len(done.json()["attempts"]) == 1


def test_a_network_that_is_cut_in_mid_load(lost: Lost) -> None:
    """What was begun in the pod by way of a server that nobody reached for a while goes on, or is begun again."""
    with lost.spares():
        child = lost.start("--mode", "etcd", "--old-is-dead", "--json")
        in_mid_load(lost, child)
        with lost.cut_off(SPARES[0]):
            time.sleep(CUT_SECONDS)
        until(lambda: lost.kubectl("uncordon", SPARES[0]).status == 0, 120, 1)
        done = ended(child)
        assert done.status == 0, f"{done.out}\n{done.err}"
        is_whole(lost, done.json())
        assert len(done.json()["attempts"]) == 1


def test_two_restores_to_one_target(lost: Lost) -> None:
    """The second is refused, names the first, and does not disturb it; afterwards the target is not empty."""
    with lost.spares():
        known = lost.restores()
        first = lost.start("--mode", "manifests", "--old-is-dead", "--json")
        until(lambda: lost.restores() > known or first.poll() is not None, 600, 0.05)
        until(lambda: lost.has_begun(f"files {SPARES[0]}") or first.poll() is not None, 600, 0.05)
        second = ended(lost.start("--mode", "manifests", "--old-is-dead"))
        assert (second.status, str(first.pid) in second.err) == (14, True), second
        done = ended(first)
        assert done.status == 0, f"{done.out}\n{done.err}"
        is_whole(lost, done.json())
        assert ended(lost.start("--old-is-dead")).status == 14


def in_mid_load(lost: Lost, child: subprocess.Popen[str]) -> None:
    """Wait until rows flow into a database on the agent; no other one of PostgreSQL's is made on the server before."""
    until(lambda: lost.has_begun(f"join {SPARES[1]}") or child.poll() is not None, 600, 0.05)
    until(lambda: lost.kubectl("cordon", SPARES[0]).status == 0 or child.poll() is not None, 120, 0.5)
    until(lambda: lost.has_begun(f"load {DATABASE}/docfast") or child.poll() is not None, 600, 0.05)
    (primary,) = [each for each in lost.items("pods") if each["metadata"]["name"] == f"{CLUSTER}-1"]
    assert primary["spec"]["nodeName"] == SPARES[1]
    until(lambda: lost.is_loading() or child.poll() is not None, 60, 0.05)
    assert child.poll() is None, ended(child)


def kill_in(lost: Lost, child: subprocess.Popen[str], step: str) -> None:
    """Kill a restore once it has begun a step."""
    until(lambda: lost.has_begun(step) or child.poll() is not None, 600, 0.05)
    assert child.poll() is None, ended(child)
    child.kill()
    ended(child)


def killed_in(mode: str) -> list[str]:
    """The steps in which it is killed, each once."""
    first, second = SPARES
    begin = [f"files {first}"]
    if mode == "etcd":
        begin += [f"datastore {first}", f"wake {first}", "scrub", f"start {first}", f"join {second}"]
    else:
        begin += [f"start {first}", f"join {second}", "objects apply"]
    return [*begin, f"postgres {DATABASE}", f"load {DATABASE}/docfast", f"publish {DATABASE}/docfast", "release"]
