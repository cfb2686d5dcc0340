"""A cluster whose machines are all gone, on other machines under other names and addresses: its own self again."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from drkit.errors import TargetNotEmpty, WrongKey
from drkit.lab.build import ensure
from drkit.lab.recipes import read
from drkit.lab.topology import DATABASE_PORT
from drkit.observe.progress import PlainReporter
from drkit.restore.etcd import datastores, machine
from drkit.restore.etcd.values import File
from tests.contract.k3s.cluster import SECRET, TAINT, container, pods_running
from tests.contract.k3s.nodes import CONFIG, Node, at_once, until
from tests.contract.k3s.rebuild import DATABASE, Login, Rebuilding, back_up, killed
from tests.lab import postgres_clients

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from tests.contract.k3s.machines import Machines

# The first fixture builds Kubernetes where the cache is empty.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.disaster,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("k3s"),
]

KILLS = {"datastore": (0.3, 1.5, 4.0), "wake": (1.0,), "scrub": (0.2, 0.4), "start": (0.5, 3.0), "release": (0.2,)}
"""Seconds after which steps are killed; the others after a moment."""


def workload() -> list[dict[str, Any]]:
    """An application with a database, one with a disk, one with neither, and a CronJob that is always due."""

    def deployment(name: str, replicas: int, **spec: Any) -> dict[str, Any]:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, **spec}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        }

    url = {"name": "DATABASE_URL", "value": f"postgres://app@{DATABASE}/app"}
    job = {"restartPolicy": "Never", "containers": [container("nightly")]}
    disk = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    volume = {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}
    mount = {"name": "disk", "mountPath": "/disk"}
    return [
        deployment("with-database", 2, containers=[container("with-database", env=[url])]),
        deployment("static", 1, containers=[container("static")]),
        deployment("with-disk", 1, containers=[container("with-disk", volumeMounts=[mount])], volumes=[volume]),
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"}, "spec": disk},
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly"},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": job}}}},
        },
    ]


def running(server: Node, app: str) -> int:
    """How many of an application's pods are ready."""
    return sum(name.startswith(f"{app}-") for name in pods_running(server))


@pytest.fixture
def login(tmp_path: Path) -> Login:
    """How all of a test's machines are logged in to."""
    return Login(tmp_path)


def described(work: Rebuilding, directory: Path) -> Path:
    """The file that a process of its own reads it from."""
    file = directory / "rebuilding.json"
    file.write_text(json.dumps(asdict(work)))
    return file


def planned(tmp_path: Path, old: list[Node], new: list[Node], servers: int) -> Rebuilding:
    """Each old node's machine is the new one at its place."""
    machines = {
        before.name: {
            "name": now.name,
            "role": "server" if number < servers else "agent",
            "address": now.address,
            "join": new[0].address if number else "",
        }
        for number, (before, now) in enumerate(zip(old, new, strict=True))
    }
    return Rebuilding("restore-1", str(tmp_path / "backup"), str(tmp_path), machines)


def booted(machines: Machines, login: Login, *names: str) -> list[Node]:
    """Machines that drkit can log in to."""
    made = machines.add(*names)
    for node in made:
        login.prepare(node)
    return made


def test_a_cluster_comes_back_on_other_machines(machines: Machines, login: Login, tmp_path: Path) -> None:
    """Killed in every step and called again, it ends whole: pods, labels, taints; no old node; nothing woke early."""
    old = booted(machines, login, "srv1", "w1")
    server, agent = old
    server.configure(cluster_init=True, token=SECRET, node_taint=[TAINT], tls_san=[server.address])
    server.start()
    agent.join(server, SECRET, node_label=["tier=worker"])
    until(lambda: server.ready_nodes() == {"srv1", "w1"}, what="the cluster")
    server.ok("k3s", "kubectl", "label", "node", "w1", "disk=fast", "node-role.kubernetes.io/worker=true")
    server.ok("k3s", "kubectl", "taint", "node", "w1", "kept=yes:PreferNoSchedule")
    server.write("/var/lib/rancher/k3s/server/manifests/mine.yaml", json.dumps(config_map("from-file")))
    server.apply(*workload())
    until(lambda: [running(server, each) for each in ("with-database", "static", "with-disk")] == [2, 1, 1])
    until(lambda: server.kubectl("get", "configmap/from-file").good, what="the deployed manifest")
    # It never ends: the snapshot finds it in the middle of its work.
    until(lambda: running(server, "nightly"), what="the CronJob's first run")
    (tmp_path / "backup").mkdir()
    back_up(tmp_path / "backup", login, [server], [agent])
    at_once(Node.power_off, old)
    new = booted(machines, login, "new1", "new2")
    work = planned(tmp_path, old, new, 1)
    file = described(work, tmp_path)
    first = new[0]
    for step in work.steps:
        if step == "release":
            asleep(first)
        for seconds in KILLS.get(step.partition(" ")[0], (0.3,)):
            killed(file, step, seconds)
        for _ in range(2):
            work.run(step)
    awake(first)
    machines.remove(*old, *new)


def config_map(name: str) -> dict[str, Any]:
    """A small object."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {}}


def asleep(first: Node) -> None:
    """Nothing that uses a database, and no CronJob, has run; all else has come back by itself."""
    until(lambda: [running(first, each) for each in ("static", "with-disk")] == [1, 1], what="what uses no database")
    users = [each for each in first.get("pods")["items"] if each["metadata"]["name"].startswith(("with-", "nightly"))]
    assert [each["metadata"] for each in users if "with-disk" not in each["metadata"]["name"]] == []
    assert [each["spec"]["suspend"] for each in first.get("jobs")["items"]] == [True]


def awake(first: Node) -> None:
    """The cluster is what it was, on its new machines."""
    until(lambda: running(first, "with-database") == 2, what="the application")
    until(lambda: running(first, "nightly"), what="the CronJob's run")
    nodes = {item["metadata"]["name"]: item for item in first.get("nodes")["items"]}
    assert set(nodes) == {"new1", "new2"}
    labels = nodes["new2"]["metadata"]["labels"]
    assert (labels["tier"], labels["disk"], labels["node-role.kubernetes.io/worker"]) == ("worker", "fast", "true")
    assert {"key": "kept", "value": "yes", "effect": "PreferNoSchedule"} in nodes["new2"]["spec"]["taints"]
    assert nodes["new1"]["spec"]["taints"][0]["key"] == "node-role.kubernetes.io/control-plane"
    found = first.kubectl("get", "--all-namespaces", "deployments,cronjobs", "--output=json").output
    assert "drkit.dev/held" not in found
    directory = "/var/lib/rancher/k3s/server/manifests"
    assert not first.run("sh", "-c", f"ls {directory}/*.skip /etc/rancher/k3s/config.yaml.d/zzzzzzzz*").good
    assert first.sh("cat /var/lib/rancher/k3s/server/token").endswith(f"::server:{SECRET}")
    # Deployed again when it changes: k3s has its eye on it.
    first.write(f"{directory}/mine.yaml", json.dumps({**config_map("from-file"), "data": {"changed": "yes"}}))
    until(lambda: "changed" in first.get("configmap", "from-file").get("data", {}), what="the changed manifest")


def test_three_servers_come_back(machines: Machines, login: Login, tmp_path: Path) -> None:
    """The first server is reset to the snapshot, the others join it, and they are a quorum of three again."""
    old = booted(machines, login, "srv1", "srv2", "srv3")
    server, *others = old
    server.configure(cluster_init=True, token=SECRET)
    for other in others:
        other.configure(server=f"https://{server.address}:6443", token=SECRET)
    for each in old:
        each.start()
    until(lambda: server.ready_nodes() == {each.name for each in old}, what="the cluster")
    until(lambda: len(server.get("nodes", "--selector=node-role.kubernetes.io/etcd=true")["items"]) == 3)
    server.apply(config_map("kept"))
    (tmp_path / "backup").mkdir()
    # What was the second server is the first now: it had joined.
    ordered = [others[0], server, others[1]]
    back_up(tmp_path / "backup", login, ordered, [])
    at_once(Node.power_off, old)
    new = booted(machines, login, "new1", "srv1", "srv2")
    work = planned(tmp_path, ordered, new, 3)
    for step in work.steps:
        work.run(step)
    assert new[0].kubectl("get", "configmap/kept").good
    # The loss of one is survived: all three vote.
    until(lambda: members(new[0]) == 3, what="three members that vote")
    new[0].power_off()
    until(lambda: new[1].kubectl("create", "configmap", "without-the-first").good, what="a write without the first")
    machines.remove(*old, *new)


def members(server: Node) -> int:
    """How many members of etcd vote."""
    found = json.loads(server.ok("k3s", "etcdctl", "member", "list", "--write-out=json"))["members"]
    return sum(not each.get("isLearner") for each in found)


def test_sqlite_comes_back(machines: Machines, login: Login, tmp_path: Path) -> None:
    """A server's SQLite database is put in place on another machine, with the same cut in its middle and no trace."""
    (old,) = booted(machines, login, "srv1")
    old.configure()
    old.start()
    until(lambda: old.ready_nodes() == {"srv1"}, what="the cluster")
    old.apply(*workload())
    until(lambda: running(old, "with-database") == 2, what="the application")
    (tmp_path / "backup").mkdir()
    back_up(tmp_path / "backup", login, [old], [])
    old.power_off()
    (new,) = booted(machines, login, "srv1")
    work = planned(tmp_path, [old], [new], 1)
    file = described(work, tmp_path)
    for step in work.steps:
        killed(file, step, 0.3)
        work.run(step)
    until(lambda: running(new, "with-database") == 2, what="the application")
    assert new.sh("head -c 15 /var/lib/rancher/k3s/server/db/state.db") == "SQLite format 3"
    refusals(work, login, new)
    machines.remove(old, new)


def refusals(work: Rebuilding, login: Login, alive: Node) -> None:
    """A machine that is of a restore, or on which k3s has run, is not taken by another one."""
    with login.host(alive.name, alive.address) as host:
        with pytest.raises(TargetNotEmpty, match="it is of the restore restore-1"):
            machine.mark(host, "restore-2")
        with pytest.raises(TargetNotEmpty, match="not of the restore"):
            datastores.restore_sqlite(host, work.files["srv1"].settings, work.archive, "restore-2")
        alive.ok("rm", machine.MARK)
        with pytest.raises(TargetNotEmpty, match="k3s has run there before"):
            machine.mark(host, "restore-2")
        assert not alive.run("test", "-e", machine.MARK).good


def test_an_external_postgresql_comes_back(
    machines: Machines, login: Login, tmp_path: Path, docker_engine: DockerClient
) -> None:
    """The objects are loaded into another PostgreSQL once, however often that is cut short, never into a full one."""
    image = ensure(docker_engine, read("database"), PlainReporter())
    endpoints = [
        f"postgres://postgres:of-the-database@{machines.add_database(image, 'of-the-database')}:{DATABASE_PORT}/k3s"
        for _ in range(2)
    ]
    (old,) = booted(machines, login, "srv1")
    old.configure(datastore_endpoint=endpoints[0], token=SECRET)
    old.start()
    until(lambda: old.ready_nodes() == {"srv1"}, what="the cluster")
    old.apply(config_map("kept"))
    for each in ("backup", "clients"):
        (tmp_path / each).mkdir()
    programs = postgres_clients.unpack(old.container, tmp_path / "clients")
    back_up(tmp_path / "backup", login, [old], [], (programs,))
    old.power_off()
    (new,) = booted(machines, login, "new1")
    work = replace(planned(tmp_path, [old], [new], 1), endpoint=endpoints[1], programs=str(programs))
    file = described(work, tmp_path)
    for step in work.steps:
        for seconds in (0.2, 0.6, 1.2) if step == "datastore" else (0.3,):
            killed(file, step, seconds)
        for _ in range(2):
            work.run(step)
    assert new.kubectl("get", "configmap/kept").good
    assert {item["metadata"]["name"] for item in new.get("nodes")["items"]} == {"new1"}
    with login.host(new.name, new.address) as host:
        new.ok("rm", datastores.NOTE, datastores.BEGUN)
        with pytest.raises(TargetNotEmpty, match="holds a cluster's objects"):
            work.load(host)
    machines.remove(old, new)


def test_another_token_is_refused(machines: Machines, login: Login, tmp_path: Path) -> None:
    """A snapshot that the token does not open is not restored, and that is said; with the right one it then is."""
    (old,) = booted(machines, login, "srv1")
    old.configure(cluster_init=True, token=SECRET)
    old.start()
    until(lambda: old.ready_nodes() == {"srv1"}, what="the cluster")
    old.apply(config_map("kept"))
    (tmp_path / "backup").mkdir()
    back_up(tmp_path / "backup", login, [old], [])
    old.power_off()
    (new,) = booted(machines, login, "new1")
    work = planned(tmp_path, [old], [new], 1)
    for step in ("mark new1", "k3s new1"):
        work.run(step)
    found = work.files["new1"]
    changed = File(found.files[CONFIG].content.replace(SECRET.encode(), b"another-token"))
    with login.host(new.name, new.address) as host:
        machine.put_files(host, replace(found, files={**found.files, CONFIG: changed}))
        began = time.monotonic()
        with pytest.raises(WrongKey, match="the token does not open the snapshot's identity"):
            datastores.restore_etcd(host, found.settings, work.archive, work.restore)
        assert time.monotonic() - began < 120
        assert host.read(datastores.NOTE) is None
    for step in work.steps[2:]:
        work.run(step)
    assert new.kubectl("get", "configmap/kept").good
    machines.remove(old, new)
