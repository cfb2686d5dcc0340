"""``drkit check`` against real things on loopback: an API, an sshd, Borg, a provider's API."""

from __future__ import annotations

import json
import os
import pwd
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from drkit.checks import rights
from drkit.checks.result import Look, Seen
from drkit.checks.together import Together
from drkit.cli.main import app
from drkit.errors import VaultUnreachable
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
SECRETS = resource("secrets", "Secret")
CLAIMS = resource("persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = resource("persistentvolumes", "PersistentVolume", namespaced=False)
CLUSTERS = resource("clusters", "Cluster", "postgresql.cnpg.io")
USER = pwd.getpwuid(os.geteuid()).pw_name
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="machines are logged in to as root")


@pytest.fixture(scope="module")
def host() -> Iterator[LabBox]:
    """An sshd that gives a shell."""
    with shell_host() as running:
        yield running


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryApi]:
    """An API with an agent, which is this machine over SSH."""
    monkeypatch.setattr("drkit.cluster.reach.is_here", lambda _: False)
    with memory_api() as running:
        running.resources += [NODES, SECRETS, CLUSTERS]
        running.add(NODES, node("k3s-w1", "127.0.0.1"))
        yield running


class Config:
    """A ``drkit.yaml`` to be changed, and what the command says of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.document: dict[str, Any] = {
            "vaults": {"cluster": {"url": str(directory / "vault"), "passphrase": {"file": "passphrase"}}}
        }
        (directory / "passphrase").write_text("correct horse battery staple")

    def cluster(self, api: MemoryApi, host: LabBox, **ssh: Any) -> None:
        """Name the cluster."""
        login = {"user": USER, "key": str(host.key), "known_hosts": str(host.known_hosts), "port": host.port}
        self.document["cluster"] = {"kubeconfig": str(kubeconfig(self.directory, api.url)), "ssh": {**login, **ssh}}

    def check(self, *, expect: int = 0) -> dict[str, dict[str, Any]]:
        """Each check by its name."""
        file = self.directory / "drkit.yaml"
        file.write_text(yaml.safe_dump(self.document))
        ran = CliRunner().invoke(app, ["check", "--config", str(file), "--json"])
        assert ran.exit_code == expect, ran.output
        document = json.loads(ran.stdout)
        assert document["ok"] == (expect == 0)
        return {each["name"]: each for each in document["checks"]}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """One with a vault on this machine alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Config(tmp_path)


@AS_ROOT
def test_a_cluster_that_is_well_passes_and_is_left_as_it_is(config: Config, api: MemoryApi, host: LabBox) -> None:
    """API, rights, machine, vault and clock are all told to be well, and nothing but reviews was posted."""
    config.cluster(api, host)
    checks = config.check()
    assert checks["cluster API"]["status"] == "ok"
    assert checks["node k3s-w1"]["status"] == "ok"
    assert "its clock agrees with ours" in checks["node k3s-w1"]["said"]
    assert checks["rights to read the cluster"]["status"] == "ok"
    assert checks["rights to read its databases"]["status"] == "skipped"
    assert checks["rights to drill"]["status"] == "skipped"
    assert "no repository yet" in checks["vault cluster"]["said"]
    assert "free" in checks["place of vault cluster"]["said"]
    assert not (config.directory / "vault").exists()
    asked = {request.split("?")[0] for request in api.requests if not request.startswith("GET")}
    assert asked == {f"POST {rights.PATH}"}
    # What scripts have read since there is this command.
    assert {"what", "ok", "said", "hint", "exit_code"} <= set(checks["cluster API"])


@AS_ROOT
def test_the_volumes_that_are_chosen_are_found_before_a_backup_looks_for_them(
    config: Config, api: MemoryApi, host: LabBox
) -> None:
    """Each claim is told with its node; labels that no claim has, and a claim without a volume, are failures."""
    config.cluster(api, host)
    config.document["volumes"] = [{"namespace": "docfast", "labels": {"backup": "files"}}]
    api.resources += [CLAIMS, VOLUMES]
    claim: dict[str, Any] = {"metadata": {"namespace": "docfast", "name": "uploads", "labels": {}}, "spec": {}}
    api.add(CLAIMS, claim)
    api.add(VOLUMES)
    assert "no claim has these labels" in config.check(expect=3)["volumes"]["said"]
    claim["metadata"]["labels"]["backup"] = "files"
    assert "docfast/uploads has no volume yet" in config.check(expect=3)["volumes"]["said"]
    claim["spec"]["volumeName"] = "pv-1"
    required = [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["k3s-w1"]}]
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": required}]}}
    spec = {"local": {"path": "/srv/pv-1"}, "nodeAffinity": affinity}
    api.add(VOLUMES, {"metadata": {"name": "pv-1"}, "spec": spec})
    assert config.check()["volumes"]["said"] == "docfast/uploads on k3s-w1"


@AS_ROOT
def test_rights_that_are_missing_are_named_with_the_file_that_gives_them(
    config: Config, api: MemoryApi, host: LabBox
) -> None:
    """Who may read and not drill is told which rights drills lack, where drills are allowed."""
    config.cluster(api, host)
    config.document["drills"] = {"allow": ["node-drain"], "watchdog": "local"}
    api.granted = rights.read(rights.READING)
    found = config.check(expect=3)["rights to drill"]
    assert found["status"] == "failed"
    assert "create pods/eviction" in found["said"]
    assert "rbac-drills.yaml" in found["hint"]


def test_each_failure_of_ssh_says_what_to_do(config: Config, api: MemoryApi, host: LabBox, tmp_path: Path) -> None:
    """A host key that is unknown or changed, and a key that is refused, are three different hints."""
    other = tmp_path / "known_hosts"
    other.touch()
    config.cluster(api, host, known_hosts=str(other))
    unknown = config.check(expect=3)["node k3s-w1"]
    assert "its host key is unknown" in unknown["said"]
    assert "compare the fingerprint" in unknown["hint"]
    name, kind, _ = host.known_hosts.read_text().split()
    other.write_text(f"{name} {kind} AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}\n")
    changed = config.check(expect=3)["node k3s-w1"]
    assert "its host key has changed" in changed["said"]
    assert "can be an attack" in changed["hint"]
    key = tmp_path / "another_key"
    key.write_text((host.directory / "host_key").read_text())
    key.chmod(0o600)
    config.cluster(api, host, key=str(key))
    refused = config.check(expect=3)["node k3s-w1"]
    assert "refuses the key" in refused["said"]
    assert "authorized_keys" in refused["hint"]


def test_what_is_no_server_says_where_servers_are_named(config: Config, api: MemoryApi, host: LabBox) -> None:
    """A machine without k3s that is said to be a server fails by itself, and keeps no other check."""
    config.cluster(api, host)
    config.document["cluster"]["servers"] = [{"name": "k3s-1", "address": "127.0.0.1"}]
    checks = config.check(expect=3)
    assert checks["node k3s-1"]["status"] == "failed"
    assert checks["node k3s-1"]["hint"]
    assert checks["cluster API"]["ok"]


def test_tokens_are_told_to_read_or_to_write(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that only reads is enough for a backup and not for a restore; none of them is used to make anything."""
    monkeypatch.setenv("READER", hetzner.READER)
    monkeypatch.setenv("WRITER", hetzner.TOKEN)
    monkeypatch.setenv("WRONG", "nonsense")
    config.document["cluster"] = {"token": {"env": "READER"}}
    config.document["clusters"] = {
        name: {"provider": "hetzner", "token": {"env": name.upper()}} for name in ("reader", "writer", "wrong")
    }
    with hetzner.serving({"servers": [{"name": "k3s-1"}]}) as provider:
        monkeypatch.setenv("HCLOUD_ENDPOINT", provider.endpoint)
        checks = config.check(expect=16)
    assert checks["token cluster.token"]["said"] == "valid: a project with 1 servers; it may only read"
    assert checks["token clusters.writer.token"]["status"] == "ok"
    assert checks["token clusters.reader.token"]["status"] == "failed"
    assert "Read & Write" in checks["token clusters.reader.token"]["hint"]
    assert "unauthorized" in checks["token clusters.wrong.token"]["said"]
    assert provider.project == {"servers": [{"name": "k3s-1"}]}


def test_a_labs_token_is_shown_to_nobody_else(config: Config) -> None:
    """What a lab has for its stand-in is no token of Hetzner's: it is not sent there, and nothing fails for it."""
    config.document["cluster"] = {"name": "lab"}
    config.document["drills"] = {"provider": "lab"}
    config.document["clusters"] = {"new": {"provider": "hetzner", "token": {"env": "NOT_EVEN_READ"}}}
    checks = config.check()
    assert checks["token clusters.new.token"]["status"] == "skipped"
    assert "stand-in" in checks["token clusters.new.token"]["said"]


def test_a_box_says_what_its_key_may_hear(config: Config, box: LabBox, host: LabBox) -> None:
    """A key that may run Borg alone hears its version; one with a shell hears more, and that it is one."""
    settings = config.document["vaults"]["cluster"]
    settings |= {"url": box.url("db"), "ssh": {"key": str(box.key), "known_hosts": str(box.known_hosts)}}
    alone = config.check()["place of vault cluster"]
    assert alone["said"].startswith("Borg 1.")
    assert "which may run Borg alone" in alone["said"]
    settings |= {"url": host.url("db"), "ssh": {"key": str(host.key), "known_hosts": str(host.known_hosts)}}
    settings["remote_path"] = "/usr/bin/env"
    other = config.check(expect=10)
    assert other["place of vault cluster"]["status"] == "warning"
    assert "remote_path" in other["place of vault cluster"]["hint"]


def test_drills_are_checked_where_they_are_allowed(config: Config) -> None:
    """A scenario that is not there is a fault of the configuration; without any, nothing is asked."""
    assert config.check()["drills"]["status"] == "skipped"
    config.document["drills"] = {"allow": ["no-such-thing"], "watchdog": "local"}
    checks = config.check(expect=4)
    assert "no-such-thing" in checks["drills that are allowed"]["said"]
    assert checks["watchdog of drills"]["status"] == "ok"


def test_what_hangs_is_given_up_and_keeps_nothing_else() -> None:
    """A check without an answer ends when its time is over; what comes after many of them is tried all the same."""
    never = threading.Event()

    def hang() -> str:
        never.wait()
        return "too late"

    code = VaultUnreachable.exit_code
    hanging = [Look(f"hangs {number}", hang, 0.2, late_code=code) for number in range(30)]
    began = time.monotonic()
    begun = Together().begin([*hanging, Look("answers", lambda: Seen("well"))])
    results = [each.end() for each in begun]
    never.set()
    assert [each.status for each in results] == ["failed"] * 30 + ["ok"]
    assert {each.exit_code for each in results[:30]} == {code}
    assert "no answer within" in results[0].said
    assert time.monotonic() - began < 20
