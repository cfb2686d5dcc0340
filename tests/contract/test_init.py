"""``drkit init`` against an API, an sshd and a provider's API on loopback."""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.config.load import load
from tests import hetzner
from tests.contract.api_server import memory_api, resource
from tests.contract.kubeconfigs import kubeconfig
from tests.contract.node_suite import shell_host
from tests.unit.posture_cluster import node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.box import LabBox
    from tests.contract.api_server import MemoryApi

NODES = resource("nodes", "Node", namespaced=False)
INGRESSES = resource("ingresses", "Ingress", "networking.k8s.io")
CLUSTERS = resource("clusters", "Cluster", "postgresql.cnpg.io")
SERVER = {
    "id": 1,
    "name": "k3s-mgr",
    "server_type": {"name": "cax11"},
    "location": {"name": "nbg1"},
    "image": {"name": "debian-12"},
}


@pytest.fixture(scope="module")
def host() -> Iterator[LabBox]:
    """An sshd that gives a shell."""
    with shell_host() as running:
        key = running.known_hosts.read_text()
        running.known_hosts.write_text(key + key.replace("127.0.0.1", "localhost"))
        yield running


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryApi]:
    """An API with a server, an agent, a PostgreSQL without a primary, and an Ingress; this machine is none of it."""
    monkeypatch.setattr("drkit.cluster.reach.is_here", lambda _: False)
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with memory_api() as api:
        api.resources += [NODES, INGRESSES, CLUSTERS, resource("pods", "Pod")]
        api.add(NODES, node("k3s-mgr", "127.0.0.1", server=True), node("k3s-w1", "localhost"))
        metadata = {"namespace": "postgres", "name": "main-db"}
        api.add(CLUSTERS, {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": metadata})
        rules = [{"host": "localhost"}]
        api.add(
            INGRESSES,
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"namespace": "docfast", "name": "docfast"},
                "spec": {"rules": rules},
            },
        )
        yield api


def init(directory: Path, *words: str) -> tuple[int, str]:
    """Run it, with the file in ``directory``; how it ended, and what it said."""
    ran = CliRunner().invoke(app, ["init", "--to", str(directory / "drkit.yaml"), *words])
    return ran.exit_code, ran.output


def login(host: LabBox) -> list[str]:
    """The words by which the sshd lets us in."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    known = ["--ssh-key", str(host.key), "--ssh-known-hosts", str(host.known_hosts)]
    return ["--ssh-user", user, "--ssh-port", str(host.port), *known]


@pytest.mark.skipif(os.geteuid() != 0, reason="machines are logged in to as root")
def test_a_cluster_is_found_whole(
    cluster: MemoryApi, host: LabBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API, machines over SSH, databases, pages and the provider's project come into one file, without a secret."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, cluster.url)))
    monkeypatch.setenv("HCLOUD_TOKEN", hetzner.TOKEN)
    project: dict[str, list[dict[str, object]]] = {
        name: [] for name in ("networks", "firewalls", "load_balancers", "floating_ips", "primary_ips", "zones")
    }
    project |= {"servers": [SERVER], "placement_groups": [], "ssh_keys": [], "volumes": []}
    with hetzner.serving(project) as provider:
        monkeypatch.setenv("HCLOUD_ENDPOINT", provider.endpoint)
        status, said = init(tmp_path, "--make-passphrase", "--vault", str(tmp_path / "vault"), *login(host), "--json")
    assert status == 0, said
    document = json.loads(said)
    assert [each["trouble"] for each in document["found"]["machines"]] == ["", ""]
    assert [each["what"] for each in document["found"]["missing"]] == []
    text = (tmp_path / "drkit.yaml").read_text()
    passphrase = (tmp_path / "passphrase").read_text().strip()
    for secret in (hetzner.TOKEN, "of-the-test", passphrase):
        assert secret not in text
        assert secret not in said
    config = load(tmp_path / "drkit.yaml")
    assert [each.name for each in config.cluster.servers] == ["k3s-mgr"]
    assert config.clusters["new-cluster"].server_type == "cax11"
    assert config.drills.database == "postgres/main-db"
    assert config.health == []
    assert "localhost" in text
    assert {request.split()[0] for request in cluster.requests} == {"GET"}


@pytest.mark.skipif(os.geteuid() != 0, reason="machines are logged in to as root")
def test_what_is_written_passes_the_check(
    cluster: MemoryApi, host: LabBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found can be backed up: `drkit check` has nothing against it, before anybody has changed a line."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    cluster.resources.append(resource("secrets", "Secret"))
    cluster.objects[CLUSTERS.path].clear()
    cluster.objects[NODES.path].pop(0)  # no k3s runs here, as `drkit check` would see
    file = str(kubeconfig(tmp_path, cluster.url))
    vault = ["--vault", str(tmp_path / "vault"), "--make-passphrase"]
    status, said = init(tmp_path, "--kubeconfig", file, *vault, *login(host))
    assert status == 0, said
    ran = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "drkit.yaml"), "--json"])
    checks = {each["name"]: each["status"] for each in json.loads(ran.stdout)["checks"]}
    assert ran.exit_code == 0, ran.output
    assert checks["cluster API"] == checks["node k3s-w1"] == checks["vault databases"] == "ok"


def test_what_is_not_there_is_said_with_its_reason(
    cluster: MemoryApi, host: LabBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is refused and a token that is not set are named in the file, which loads all the same."""
    other = tmp_path / "known_hosts"
    other.touch()
    words = [*login(host)[:-1], str(other), "--kubeconfig", str(kubeconfig(tmp_path, cluster.url))]
    status, said = init(tmp_path, *words)
    assert status == 0, said
    assert "not found: SSH to k3s-mgr" in said
    assert "its host key is unknown" in said
    assert "$HCLOUD_TOKEN is not set" in said
    text = (tmp_path / "drkit.yaml").read_text()
    assert "# - Hetzner Cloud project: $HCLOUD_TOKEN is not set" in text
    assert load(tmp_path / "drkit.yaml").clusters == {}


def test_without_anything_there_is_still_a_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that knows no cluster the file has places for everything; it is not written over."""
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    status, said = init(tmp_path)
    assert status == 0
    assert f"looked for {tmp_path / 'none'}" in said
    assert load(tmp_path / "drkit.yaml").cluster.kubeconfig is None
    before = (tmp_path / "drkit.yaml").read_text()
    status, said = init(tmp_path)
    assert status == 2
    assert "--force" in said
    assert (tmp_path / "drkit.yaml").read_text() == before
    assert init(tmp_path, "--vault", "ftp://somewhere")[0] == 2


def test_an_api_that_is_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubeconfig of a cluster that is gone is named, and used for nothing."""
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    status, said = init(tmp_path, "--kubeconfig", str(kubeconfig(tmp_path, "http://127.0.0.1:9")))
    assert status == 0
    assert "not found: kubeconfig" in said
    assert load(tmp_path / "drkit.yaml").cluster.kubeconfig == tmp_path / "kubeconfig"
