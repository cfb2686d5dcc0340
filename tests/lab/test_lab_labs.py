"""Several labs, and runs of ``drkit lab`` that are cut short."""

from __future__ import annotations

import json
import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab import containers
from drkit.lab.engine import LABEL
from drkit.lab.join import last_heard
from tests.lab.labs import COLD_SECONDS, LabUser, ended, kubectl, ssh
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]


def remains(engine: DockerClient, name: str) -> int:
    """How many containers, networks and volumes carry the label of a lab."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={name}"}
    return (
        len(engine.containers.list(all=True, filters=mine))
        + len(engine.networks.list(filters=mine))
        + len(engine.volumes.list(filters=mine))
    )


@pytest.fixture(scope="module")
def single(lab_user: LabUser) -> Iterator[Lab]:
    """One server whose cluster keeps its objects in an external PostgreSQL."""
    name = f"{lab_user.prefix}-single"
    yield lab_user.run("up", "--agents", "0", "--datastore", "postgres", "--json", name=name).json()
    lab_user.run("down", name=name)


@pytest.fixture(scope="module")
def quorum(lab_user: LabUser) -> Iterator[Lab]:
    """A lab of three servers, which carry the sample workload themselves."""
    name = f"{lab_user.prefix}-quorum"
    yield lab_user.run("up", "--servers", "3", "--agents", "0", "--workload", "--json", name=name).json()
    lab_user.run("down", name=name)


def test_three_servers_are_one_cluster(quorum: Lab) -> None:
    """Each server of three runs the control plane and a member of etcd, and each answers for the whole cluster."""
    for server in ("server-1", "server-2", "server-3"):
        listed = json.loads(kubectl(quorum, "get", "nodes", "-o", "json", server=server).out)["items"]
        assert {node["metadata"]["name"] for node in listed} == {"server-1", "server-2", "server-3"}
        assert all("node-role.kubernetes.io/etcd" in node["metadata"]["labels"] for node in listed)


def test_three_servers_carry_the_workload(quorum: Lab) -> None:
    """Without agents the sample workload runs on the servers, and is healthy."""
    assert quorum["workload"]["problems"] == []
    assert quorum["workload"]["healthy"] is True


def test_two_labs_do_not_meet(single: Lab, quorum: Lab) -> None:
    """A node of one lab reaches neither nodes nor names of another."""
    assert single["network"] != quorum["network"]
    other = quorum["nodes"][0]["address"]
    reach = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{other}/22'"
    assert ssh(quorum, "server-2", reach).status == 0
    assert ssh(single, "server-1", reach).status != 0
    assert ssh(single, "server-1", f"getent hosts server-1.{quorum['dns']['zone']}").status != 0


def test_a_power_cut_of_all_nodes_is_survived(quorum: Lab, lab_user: LabUser, docker_engine: DockerClient) -> None:
    """After all servers lost power at once they are a cluster again with all that was written, the workload healthy."""
    assert kubectl(quorum, "create", "configmap", "written", "--from-literal=before=cut").status == 0
    nodes = [docker_engine.containers.get(node["container"]) for node in quorum["nodes"]]
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    until(lambda: kubectl(quorum, "get", "configmap", "written", "-o", "jsonpath={.data.before}").out == "cut")
    until(lambda: kubectl(quorum, "get", "--raw=/readyz", server="server-3").out == "ok")

    def healthy() -> bool:
        found = lab_user.run("status", "--json", name=quorum["name"]).json()["workload"]
        return found is not None and found["healthy"] is True

    until(healthy, 300, 2)


def test_up_waits_for_what_a_node_says_after_its_start(
    quorum: Lab, lab_user: LabUser, docker_engine: DockerClient
) -> None:
    """A node whose power was cut counts once it was heard of again, though the cluster has not missed it meanwhile."""
    cut = docker_engine.containers.get(
        next(each["container"] for each in quorum["nodes"] if each["name"] == "server-3")
    )
    cut.kill()
    again = lab_user.run("up", "--servers", "3", "--agents", "0", "--json", name=quorum["name"]).json()
    assert again["state"] == "up"
    cut.reload()
    heard = last_heard(kubectl(quorum, "get", "nodes", "-o", "json").out)["server-3"]
    assert heard > datetime.fromisoformat(cut.attrs["State"]["StartedAt"]).timestamp()


def test_a_lab_of_another_shape_is_refused(quorum: Lab, lab_user: LabUser) -> None:
    """``up`` does not change a lab into another one behind its user's back."""
    ran = lab_user.run("up", "--servers", "1", name=quorum["name"], expect=14)
    assert "3 servers" in ran.err


def test_an_absent_lab_is_said(single: Lab, lab_user: LabUser) -> None:
    """Asked for a lab that is not there, ``status`` says so and names those that are; ``down`` has nothing to do."""
    ran = lab_user.run("status", name=f"{lab_user.prefix}-none", expect=16)
    assert single["name"] in ran.err
    assert lab_user.run("down", "--json", name=f"{lab_user.prefix}-none").json()["removed"] == 0


def test_an_interrupted_up_leaves_nothing(single: Lab, lab_user: LabUser, docker_engine: DockerClient) -> None:
    """Ctrl-C while a new lab is being made removes what was made of it, and the exit code says so."""
    name = f"{lab_user.prefix}-interrupted"
    child = lab_user.start("up", "--agents", "0", name=name)
    until(lambda: containers.get(docker_engine, f"drkit-lab-{name}-server-1") is not None)
    child.send_signal(signal.SIGINT)
    assert ended(child).status == 130
    assert remains(docker_engine, name) == 0
    assert not list(lab_user.home.rglob(f"labs/{name}"))


def test_a_killed_up_is_gone_on_with(single: Lab, lab_user: LabUser, docker_engine: DockerClient) -> None:
    """After ``kill -9`` the next ``up`` adopts what is there, a second one beside it waits, ``down`` clears all."""
    name = f"{lab_user.prefix}-killed"
    child = lab_user.start("up", "--agents", "0", "--datastore", "sqlite", name=name)
    until(lambda: containers.get(docker_engine, f"drkit-lab-{name}-box") is not None)
    child.kill()
    ended(child)
    adopted = containers.get(docker_engine, f"drkit-lab-{name}-dns")
    assert adopted is not None

    arguments = ("--agents", "0", "--datastore", "sqlite", "--json")
    both = [ended(each) for each in [lab_user.start("up", *arguments, name=name) for _ in range(2)]]
    assert [ran.status for ran in both] == [0, 0], both
    assert "waiting for it" in both[0].err + both[1].err
    made = both[0].json()
    assert made["state"] == "up"
    assert docker_engine.containers.get(f"drkit-lab-{name}-dns").id == adopted.id
    assert kubectl(made, "get", "--raw=/readyz").out == "ok"

    directory = Path(made["config"]).parent
    lab_user.run("down", name=name)
    assert remains(docker_engine, name) == 0
    assert not directory.exists()
    assert remains(docker_engine, single["name"]) > 0


def test_the_datastore_can_be_a_postgresql(single: Lab) -> None:
    """A lab whose cluster keeps its objects in an external PostgreSQL comes up, and keeps them there."""
    assert single["database"]
    assert kubectl(single, "get", "nodes", "-o", "name").out.strip() == "node/server-1"
