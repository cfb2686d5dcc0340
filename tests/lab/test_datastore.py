"""The datastore of real servers: etcd with a quorum and without, SQLite, PostgreSQL; nothing stays on a server."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from drkit import process
from drkit.cluster import ssh_command
from drkit.cluster.k3s import Settings
from drkit.datastore import external
from drkit.datastore.look import Seen, look
from drkit.errors import SourceFailed
from drkit.lab import box as boxes
from drkit.lab.containers import answers
from drkit.sources import datastore
from drkit.sources.datastore import DatastoreSource
from tests.contract.node_suite import NodeSuite, over_ssh
from tests.lab import postgres_clients
from tests.lab.labs import COLD_SECONDS, LabUser, kubectl
from tests.lab.machines import DATABASE, copied, killed_when, machine, remains, shell
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container

    from drkit.cluster.ssh import SshNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]

TLS = "/var/lib/rancher/k3s/server/tls/etcd"


def fill(lab: Lab) -> None:
    """Put in more than all buffers between a server and drkit hold."""
    for number in range(8):
        large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"large-{number}"}}
        large["data"] = {"x": os.urandom(400_000).hex()}
        assert kubectl(lab, "create", "-f", "-", stdin=json.dumps(large)).status == 0


@pytest.fixture(scope="module")
def trio(lab_user: LabUser) -> Iterator[Lab]:
    """Three servers with embedded etcd, and some megabytes in it, of which some were deleted again."""
    name = f"{lab_user.prefix}-trio"
    made = lab_user.run("up", "--servers", "3", "--agents", "0", "--json", name=name).json()
    fill(made)
    assert kubectl(made, "delete", "configmap", "large-3", "large-5").status == 0
    yield made
    lab_user.run("down", name=name)


@pytest.fixture
def first(trio: Lab) -> Iterator[SshNode]:
    """The first of the three."""
    with machine(trio, "server-1") as node:
        yield node


@pytest.fixture
def second(trio: Lab) -> Iterator[SshNode]:
    """The second of the three."""
    with machine(trio, "server-2") as node:
        yield node


class TestLabNode(NodeSuite):
    """A lab's machine passes the suite of all nodes."""

    @pytest.fixture
    def node(self, first: SshNode) -> SshNode:
        """It."""
        return first

    @pytest.fixture
    def killed_while(self, trio: Lab) -> str:
        """Text that makes it in another process."""
        ssh = trio["ssh"]
        return over_ssh(trio["nodes"][0]["address"], ssh["user"], ssh["key"], ssh["known_hosts"], 22)


def etcdutl(node: SshNode, snapshot: bytes) -> dict[str, Any]:
    """What etcd's own program says of a snapshot."""
    script = 'cat >/tmp/copied && exec "$@" snapshot status /tmp/copied --write-out json'
    argv = ["sh", "-c", script, "sh", "/usr/local/lib/k3s-standin/bin/etcdutl"]
    done = node.run(argv, stdin=snapshot, deadline=60)
    assert done.status == 0, done.stderr
    shell(node, "rm /tmp/copied")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_a_snapshot_is_what_etcd_says_of_it(trio: Lab, first: SshNode) -> None:
    """Revision, keys, size and hash are those of etcd's own program; the identity is there; nothing stays behind."""
    content, details = copied(DatastoreSource((first,), "20260301T120000Z-abc123"))
    said = etcdutl(first, content)
    assert (details["revision"], details["keys"], details["size"]) == (
        said["revision"],
        said["totalKey"],
        said["totalSize"],
    )
    assert details["hash"] == f"{said['hash']:08x}"
    assert (details["datastore"], details["server"], len(details["bootstrap"])) == ("embedded-etcd", "server-1", 1)
    assert details["k3s"].startswith("v1.34")
    assert len(content) > 5_000_000
    assert remains(first) == []


def test_nothing_stays_after_kill_9(trio: Lab, first: SshNode) -> None:
    """A drkit that is killed while the snapshot is taken, or on its way, leaves no snapshot and no program."""
    killed_when(trio, lambda: [name for name in remains(first) if "/snapshots/" in name])
    until(lambda: remains(first) == [], seconds=60)


def test_what_a_dead_run_left_is_removed(trio: Lab, first: SshNode) -> None:
    """Where even the node's own clean-up was cut short the next run removes what is left, and nobody else's."""
    leave = """
    mkdir -p "$1/snapshots" "$1/.metadata"
    for name in drkit-4194303-old-server-1-1 drkit-someone-else on-demand-server-1-1; do
        echo x >"$1/snapshots/$name"; echo x >"$1/.metadata/$name"
    done
    """
    shell(first, leave, DATABASE)
    copied(DatastoreSource((first,), "next"))
    kept = shell(first, 'ls "$1/snapshots"', DATABASE).split()
    assert kept == ["drkit-someone-else", "on-demand-server-1-1"]
    shell(first, 'cd "$1" && rm snapshots/* .metadata/*', DATABASE)


def test_a_leaving_reader_leaves_nothing(trio: Lab, first: SshNode) -> None:
    """Whoever stops reading in the middle, as a full vault does, leaves nothing on the server."""
    with DatastoreSource((first,), "left").open() as stream:
        assert os.read(stream.fileno(), 1000)
    until(lambda: remains(first) == [], seconds=30)


def test_a_token_that_does_not_open_it_fails(trio: Lab, first: SshNode) -> None:
    """A snapshot that the server's own token could not restore is refused, and the error says why."""
    path = "/var/lib/rancher/k3s/server/token"
    token = first.read(path)
    assert token is not None
    first.write(path, b"another-token", mode=0o600)
    try:
        with pytest.raises(SourceFailed, match="identity") as caught:
            copied(DatastoreSource((first,), "token"))
        assert "token" in caught.value.hint
    finally:
        first.write(path, token, mode=0o600)


def test_etcd_down_on_one_server_is_no_loss(trio: Lab, first: SshNode, second: SshNode) -> None:
    """A server whose k3s does not run is passed over; where it is the only one, that is said."""
    shell(first, "systemctl stop k3s; pkill -x etcd || true; pkill -x kube-apiserver || true")
    try:
        with pytest.raises(SourceFailed, match="etcd is not healthy"):
            copied(DatastoreSource((first,), "down"))
        assert copied(DatastoreSource((first, second), "down"))[1]["server"] == "server-2"
    finally:
        shell(first, "systemctl start k3s")
        until(lambda: kubectl(trio, "get", "--raw=/readyz").out == "ok", seconds=120, every=1)


def resumed(container: Container) -> None:
    """Let a machine that is paused go on."""
    container.reload()
    if container.status == "paused":
        container.unpause()


def test_without_a_quorum_nothing_is_sealed(
    trio: Lab, first: SshNode, docker_engine: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server lost, another serves; two lost, every server's reason is given; with one back, it is waited for."""
    monkeypatch.setattr(ssh_command, "CONNECT_SECONDS", 3)
    monkeypatch.setattr(datastore, "ELECTION_SECONDS", 20)
    lost = [docker_engine.containers.get(node["container"]) for node in trio["nodes"][1:]]
    lost[0].kill()
    # Where the leader was lost another one is elected first.
    until(lambda: kubectl(trio, "get", "--raw=/readyz/etcd").out == "ok", 120, every=1)
    with machine(trio, "server-2") as away, machine(trio, "server-3") as paused:
        try:
            assert copied(DatastoreSource((away, first), "one-lost"))[1]["server"] == "server-1"
            lost[1].pause()
            with pytest.raises(SourceFailed) as caught:
                copied(DatastoreSource((away, paused, first), "two-lost"))
            for words in ("server-2", "server-3", "does not answer", "server-1: etcd is not healthy"):
                assert words in caught.value.message.replace("server-1: sh ended with status 1\n", "server-1: ")
            # Refused once, the server is asked again; meanwhile the quorum has come back.
            monkeypatch.setattr(process, "pause", lambda _: resumed(lost[1]))
            assert copied(DatastoreSource((first,), "found-again"))[1]["server"] == "server-1"
        finally:
            resumed(lost[1])
            lost[0].start()
            for server in ("server-1", "server-2", "server-3"):
                until(lambda s=server: kubectl(trio, "get", "--raw=/readyz", server=s).out == "ok", 120, every=1)  # type: ignore[misc]
            until(lambda: answers(trio["nodes"][1]["address"], 22, b"SSH-"))
    assert remains(first) == []


def test_a_refused_key_and_a_changed_host_key_are_said(trio: Lab, tmp_path: Path) -> None:
    """What keeps drkit from a server is in the source's error, for each server."""
    boxes._generate(tmp_path / "other")
    address = trio["nodes"][1]["address"]
    key = (tmp_path / "other.pub").read_text().split()[1]
    (tmp_path / "changed").write_text(f"{address} ssh-ed25519 {key}\n")
    with (
        machine(trio, "server-1", key=tmp_path / "other") as refused,
        machine(trio, "server-2", known_hosts=tmp_path / "changed") as changed,
        pytest.raises(SourceFailed) as caught,
    ):
        copied(DatastoreSource((refused, changed), "refused"))
    assert "refuses the key" in caught.value.message
    assert "host key has changed" in caught.value.message


def seen_from_outside(node: SshNode, endpoint: str) -> Seen:
    """This server's own etcd as if it were one outside: the same certificates, the same identity."""
    told = Settings(
        endpoint=endpoint, cafile=f"{TLS}/server-ca.crt", certfile=f"{TLS}/client.crt", keyfile=f"{TLS}/client.key"
    )
    return Seen(told, etcd=False, sqlite=False, version="", token=look(node).token)


def test_external_etcd_gives_its_snapshot(trio: Lab, first: SshNode) -> None:
    """Through its client certificates, over the server's network, from the first endpoint that is healthy."""
    seen = seen_from_outside(first, "https://127.0.0.1:9,https://127.0.0.1:2379")
    with external.snapshot(first, seen) as stream:
        content = b"".join(iter(lambda: os.read(stream.fileno(), 1 << 20), b""))
        stream.finish()
        details = stream.details()
    said = etcdutl(first, content)
    assert details["hash"] == f"{said['hash']:08x}"
    assert details["keys"] == said["totalKey"]


def test_external_etcd_without_its_certificates_is_refused(trio: Lab, first: SshNode) -> None:
    """Neither an etcd that asks for a certificate nor one whose own is another's is taken."""
    seen = seen_from_outside(first, "https://127.0.0.1:2379")
    nobody = replace(seen.settings, certfile="", keyfile="")
    other = replace(seen.settings, cafile="/var/lib/rancher/k3s/server/tls/client-ca.crt")
    for told in (nobody, other):
        wrong = replace(seen, settings=told)
        with pytest.raises(SourceFailed, match="no etcd endpoint is healthy"), external.snapshot(first, wrong):
            pass
    gone = replace(seen, settings=replace(seen.settings, keyfile="/nowhere/key"))
    with pytest.raises(SourceFailed, match="/nowhere/key is not there"), external.snapshot(first, gone):
        pass


@pytest.fixture(scope="module")
def simple(lab_user: LabUser) -> Iterator[Lab]:
    """One server as k3s makes it by default, and some megabytes in it."""
    name = f"{lab_user.prefix}-simple"
    made = lab_user.run("up", "--agents", "0", "--datastore", "sqlite", "--json", name=name).json()
    fill(made)
    yield made
    lab_user.run("down", name=name)


def test_sqlite_is_copied_while_it_is_used(simple: Lab, tmp_path: Path) -> None:
    """A single server's database comes whole and sound, with what was written before it, and nothing stays behind."""
    assert kubectl(simple, "create", "configmap", "written").status == 0
    with machine(simple, "server-1") as node:
        content, details = copied(DatastoreSource((node,), "sqlite"))
        assert remains(node) == []
    assert details["datastore"] == "sqlite"
    (tmp_path / "state.db").write_bytes(content)
    with sqlite3.connect(tmp_path / "state.db") as database:
        assert database.execute("select count(*) from kine where name glob '*/written'").fetchone()[0] == 1
        assert database.execute("select max(id), count(*) from kine").fetchone() == (
            details["revision"],
            details["rows"],
        )


def test_nothing_stays_of_sqlite_after_kill_9(simple: Lab) -> None:
    """A drkit that is killed while the copy is there leaves none."""
    with machine(simple, "server-1") as node:
        killed_when(simple, lambda: [name for name in remains(node) if "state.db.drkit" in name])
        until(lambda: remains(node) == [], seconds=60)


@pytest.fixture(scope="module")
def outside(lab_user: LabUser) -> Iterator[Lab]:
    """One server whose objects are in a PostgreSQL of their own."""
    name = f"{lab_user.prefix}-outside"
    yield lab_user.run("up", "--agents", "0", "--datastore", "postgres", "--json", name=name).json()
    lab_user.run("down", name=name)


@pytest.fixture(scope="module")
def clients(outside: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PostgreSQL's programs of the server's version."""
    return postgres_clients.unpack(outside["nodes"][0]["container"], tmp_path_factory.mktemp("clients"))


def test_external_postgresql_is_dumped(outside: Lab, clients: Path) -> None:
    """The dump is one that pg_restore reads, of the table that k3s keeps all in, counted in the dump's own snapshot."""
    with machine(outside, "server-1") as node:
        content, details = copied(DatastoreSource((node,), "postgres", (clients,)))
    assert (details["datastore"], details["server"], len(details["bootstrap"])) == ("postgresql", "server-1", 1)
    assert details["revision"] > 100
    (rows,) = [table["rows"] for name, table in details["proof"]["tables"].items() if "kine" in name]
    assert rows > 100
    listed = subprocess.run([str(clients / "pg_restore"), "--list"], input=content, capture_output=True, check=True)
    assert b"TABLE DATA public kine" in listed.stdout
