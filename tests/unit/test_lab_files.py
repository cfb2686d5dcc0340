"""What a lab's containers and its user are given to read."""

from __future__ import annotations

import json
import math
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from drkit.config.load import load
from drkit.errors import PreflightFailed
from drkit.lab import balancer, cluster, engine, names
from drkit.lab.accounts import BACKUP, SMALL
from drkit.lab.files import LabFiles, drkit_yaml
from drkit.lab.join import last_heard, running_since
from drkit.lab.placed import Access, files
from drkit.lab.recipes import POSTGRES, File, Layer, Recipe, read
from drkit.lab.spec import Datastore, LabSpec
from drkit.lab.status import describe
from drkit.lab.topology import Role, topology

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.lab.topology import Topology

ACCESS = Access("ssh-ed25519 NODE", "ssh-ed25519 APPEND", "ssh-ed25519 FULL", "the-token", "the-password")


def a_lab(servers: int = 1, agents: int = 2, datastore: Datastore = Datastore.ETCD) -> Topology:
    """A lab of that size."""
    return topology(LabSpec("lab", servers, agents, datastore), IPv4Network("10.211.0.0/24"))


def told(lab: Topology, member: str) -> dict[str, Any]:
    """What k3s reads on one of its nodes."""
    node = next(node for node in lab.nodes if node.member == member)
    found: dict[str, Any] = YAML(typ="safe").load(cluster.render(cluster.settings(lab, node, "t", "p")))
    return found


def test_the_first_server_founds_the_cluster_and_the_others_join_it() -> None:
    """Three servers make one etcd, not three."""
    lab = a_lab(servers=3, agents=0)
    assert told(lab, "server-1")["cluster-init"] is True
    assert "server" not in told(lab, "server-1")
    for other in ("server-2", "server-3"):
        assert told(lab, other)["server"] == "https://10.211.0.11:6443"
        assert "cluster-init" not in told(lab, other)


def test_agents_join_with_the_clusters_token_and_their_own_address() -> None:
    """An agent is told where the cluster is, who it is itself, and nothing that only servers take."""
    agent = told(a_lab(), "agent-2")
    assert agent["server"] == "https://10.211.0.11:6443"
    assert (agent["token"], agent["node-name"], agent["node-ip"]) == ("t", "agent-2", "10.211.0.102")
    assert not {"cluster-init", "tls-san", "datastore-endpoint"} & set(agent)


def test_sqlite_is_what_k3s_uses_when_told_nothing() -> None:
    """A lab on SQLite is the user's default single server: no cluster-init, no endpoint."""
    server = told(a_lab(datastore=Datastore.SQLITE), "server-1")
    assert not {"cluster-init", "datastore-endpoint", "server"} & set(server)


def test_servers_on_postgres_share_its_address_and_do_not_join_each_other() -> None:
    """With an external datastore each server is told the same endpoint."""
    lab = a_lab(servers=2, datastore=Datastore.POSTGRES)
    for server in ("server-1", "server-2"):
        assert told(lab, server)["datastore-endpoint"] == "postgres://postgres:p@10.211.0.5:5432/k3s"
        assert not {"cluster-init", "server"} & set(told(lab, server))


def test_a_kubeconfig_is_made_to_work_from_elsewhere() -> None:
    """The server's own kubeconfig names loopback; the user's names the server."""
    assert cluster.reachable("server: https://127.0.0.1:6443\n", a_lab()) == "server: https://10.211.0.11:6443\n"


def test_only_ready_nodes_count() -> None:
    """A node that has joined and is not Ready yet is still waited for; one that is Ready said so at a time."""
    states = {"a": "True", "b": "Unknown", "c": "False"}
    items = [
        {
            "metadata": {"name": name},
            "status": {
                "conditions": [
                    {"type": "DiskPressure", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"},
                    {"type": "Ready", "status": status, "lastHeartbeatTime": "2026-01-01T00:00:07Z"},
                ]
            },
        }
        for name, status in states.items()
    ]
    joined = {"metadata": {"name": "d"}, "status": {"conditions": []}}
    assert last_heard(json.dumps({"items": [*items, joined]})) == {"a": 1767225607.0}


def test_a_node_without_k3s_is_never_ready() -> None:
    """Whatever the cluster still says of it: a node counts from the start of its k3s, and not while that is down."""
    assert running_since("MainPID=77\nExecMainStartTimestamp=@1767225600\n") == 1767225600
    assert running_since("MainPID=0\nExecMainStartTimestamp=@1767225600\n") == math.inf
    assert running_since("MainPID=0\nExecMainStartTimestamp=\n") == math.inf
    assert running_since("System has not been booted with systemd\n") == math.inf


def test_the_labs_configuration_is_one_that_drkit_takes(tmp_path: Path) -> None:
    """The drkit.yaml that ``lab up`` writes needs no edit: addresses, keys and both vaults are in it."""
    path = tmp_path / "drkit.yaml"
    path.write_text(drkit_yaml(a_lab(servers=3)))
    config = load(path)
    assert [server.address for server in config.cluster.servers] == ["10.211.0.11", "10.211.0.12", "10.211.0.13"]
    assert config.vaults["databases"].url == "ssh://u1-sub1@10.211.0.3:23/./k3s-db"
    assert config.vaults["cluster"].ssh.key == tmp_path / "box-append-only"
    assert config.vaults["cluster"].ssh.prune_key == tmp_path / "box-full-access"
    assert config.postgresql.scratch_image == read(POSTGRES).tag


def test_each_key_of_the_box_is_good_for_one_thing() -> None:
    """The backup's key only appends, the other one does all; both are held to the account's home, without a shell."""
    append, full = BACKUP.authorized_keys("ssh-ed25519 A comment", "ssh-ed25519 F").splitlines()
    serve = "borg-1.4 serve {}--restrict-to-path /home/u1-sub1 --storage-quota 20G"
    assert append == f'restrict,command="{serve.format("--append-only ")}" ssh-ed25519 A comment'
    assert full == f'restrict,command="{serve.format("")}" ssh-ed25519 F'


def test_accounts_differ_in_home_and_quota() -> None:
    """The account that is soon full is another one than the lab's own."""
    assert BACKUP.home != SMALL.home
    assert BACKUP.quota != SMALL.quota


def test_the_load_balancer_checks_as_hetzners_does() -> None:
    """Interval and timeout as asked, and as many successes to come back as failures to go."""
    text = balancer.configuration([balancer.Service(443, 8443, balancer.Check(15, 10, 3))], {"b": "10.0.0.2"})
    assert "default-server check inter 15s fall 3 rise 3" in text
    assert "timeout check 10s" in text
    assert "bind :443" in text
    assert "server b 10.0.0.2:8443" in text


@pytest.mark.parametrize(("interval", "timeout", "retries"), [(2, 1, 3), (3, 0, 3), (3, 4, 3), (15, 10, 0)])
def test_a_check_that_hetzner_would_refuse_is_refused(interval: int, timeout: int, retries: int) -> None:
    """A rehearsal with times that the real load balancer does not offer would promise too much."""
    with pytest.raises(ValueError, match=r"\d"):
        balancer.Check(interval, timeout, retries)


def test_every_member_has_a_name() -> None:
    """The lab's DNS knows all its members, in a zone that exists nowhere else."""
    lines = names.hosts(a_lab()).splitlines()
    assert "10.211.0.3 box.lab.test" in lines
    assert "10.211.0.102 agent-2.lab.test" in lines
    assert len(lines) == len(a_lab().containers)


def test_secrets_are_placed_where_root_alone_reads() -> None:
    """The cluster's token is in a file that only root reads on a node."""
    lab = a_lab()
    placed = {file.path: file for file in files(lab, lab.the(Role.SERVER), ACCESS)}
    assert placed[cluster.CONFIG].mode == 0o600
    assert "the-token" in placed[cluster.CONFIG].content
    assert placed["/var/lib/lab/authorized_keys"].content == "ssh-ed25519 NODE\n"


def test_an_image_is_named_by_all_that_goes_into_it() -> None:
    """Another base, another content and another file name are another image; the same recipe is the same one."""
    recipe = Recipe("x", "base:1", (File("a", b"bc"),))
    others = [
        Recipe("x", "base:2", (File("a", b"bc"),)),
        Recipe("x", "base:1", (File("ab", b"c"),)),
        Recipe("x", "base:1", (File("a", b"b"), File("c", b""))),
    ]
    assert len({recipe.tag, *(other.tag for other in others)}) == 4
    assert recipe.tag == Recipe("x", "base:1", (File("a", b"bc"),)).tag
    layers = [Layer("x", base, digest, lambda _: None) for base, digest in (("b", "1"), ("b", "2"), ("c", "1"))]
    assert len({layer.tag for layer in layers}) == 3


@pytest.mark.parametrize("name", ["node", "box", "balancer", "dns", "database"])
def test_every_recipe_is_whole(name: str) -> None:
    """Each file that a Dockerfile copies is in its build context, and its base is given to it."""
    recipe = read(name)
    context = {file.name: file.content.decode() for file in recipe.files}
    assert "FROM ${BASE}" in context["Dockerfile"]
    copied = [line.split()[1:-1] for line in context["Dockerfile"].splitlines() if line.startswith("COPY ")]
    assert {source for sources in copied for source in sources} == set(context) - {"Dockerfile"}


def test_a_missing_engine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no Docker engine answers, the error says so and what to do, before anything is made."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(PreflightFailed) as caught:
        engine.connect()
    assert "unix:///nonexistent/docker.sock" in caught.value.message
    assert caught.value.hint


def test_a_lab_is_up_when_all_of_it_is(tmp_path: Path) -> None:
    """A container that does not run, a node that is not Ready and a run that did not end make a lab incomplete."""
    lab, mine = a_lab(), LabFiles(tmp_path)
    running = {container.name: "running" for container in lab.containers}
    ready = ["server-1", "agent-1", "agent-2"]
    assert describe(lab, running, ready, None, mine)["state"] == "incomplete"
    mine.config.write_text("")
    assert describe(lab, running, ready, None, mine)["state"] == "up"
    assert describe(lab, running, ready[1:], None, mine)["state"] == "incomplete"
    assert describe(lab, {**running, lab.the(Role.BOX).name: "exited"}, ready, None, mine)["state"] == "incomplete"
    assert describe(lab, {}, [], None, mine)["nodes"][0]["state"] == "missing"
