"""`drkit restore` of a cluster, up to where machines would be made: the real command, a real vault, made-up sources."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from drkit.backup.run import Run
from drkit.cli.main import app
from drkit.clock import SystemClock
from drkit.cluster.volumes import Volume
from drkit.config.load import load
from drkit.observe.progress import PlainReporter
from drkit.restore.engine import journal
from drkit.sources.port import MemoryStream
from drkit.vault.configured import vaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from typer.testing import Result

CONFIG = """
cluster: {name: docfast}
vaults:
  cluster: {url: cluster, passphrase: {file: passphrase}}
  databases: {url: databases, passphrase: {file: passphrase}}
health: [{url: "https://docfast.dev/health"}]
clusters:
  new-cluster: {provider: hetzner, token: {env: HCLOUD_TOKEN}, servers: [k3s-mgr], agents: [k3s-w1],
                load_balancer: k3s-lb, dns: [docfast.dev]}
  spare: {databases: [{name: docfast, dsn: {env: SPARE_DSN}}]}
  hosts: {servers: [{name: s1, address: 198.51.100.7}]}
"""
TOPOLOGY = {
    "format": 1,
    "nodes": [
        {"name": "k3s-mgr", "labels": {"node-role.kubernetes.io/control-plane": "true"}},
        {"name": "k3s-w1", "labels": {}},
    ],
}


@dataclass(frozen=True)
class MadeUp:
    """A source whose content means nothing to a plan."""

    name: str
    vaults: Sequence[str] = ("cluster",)
    content: bytes = b"made up"
    made_up: dict[str, Any] = field(default_factory=dict)
    file_name: str = "file"

    @property
    def kind(self) -> str:
        """As its name begins."""
        return self.name.partition("/")[0]

    @contextmanager
    def open(self) -> Iterator[MemoryStream]:
        """What it holds."""
        with MemoryStream(self.content, self.made_up) as stream:
            yield stream


SOURCES = (
    MadeUp("datastore", made_up={"datastore": "embedded-etcd", "server": "k3s-mgr", "k3s": "v1.34.4+k3s1"}),
    MadeUp("manifests", made_up={"versions": {"kubernetes": "v1.34.4+k3s1"}}),
    MadeUp("server-files/k3s-mgr", made_up={"node": "k3s-mgr"}),
    MadeUp("topology", content=json.dumps(TOPOLOGY).encode()),
    MadeUp(
        "database/postgres/main-db/docfast",
        ("databases",),
        made_up={"instance": {"pod": "main-db-1", "role": "primary"}, "proof": {"tables": {}}},
    ),
    MadeUp("globals/postgres/main-db", ("databases",)),
)


class Owner:
    """Whoever runs the command, with a backup of a cluster that had one volume in no source."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "drkit.yaml"
        self._file.write_text(CONFIG)
        (directory / "passphrase").write_text("correct horse battery staple\n")
        config = load(self._file)
        run = Run(config, vaults(config), SystemClock(), PlainReporter())
        volume = Volume("docfast", "uploads", "1Gi", "local-path", ("Deployment docfast/web",))
        assert run.execute(SOURCES, volumes=[volume]).descriptor.complete

    def run(self, *arguments: str, expect: int = 0) -> Result:
        """Run ``drkit restore``."""
        ran = CliRunner().invoke(app, ["restore", "--config", str(self._file), *arguments])
        assert ran.exit_code == expect, ran.output
        return ran

    def plan(self, *arguments: str) -> dict[str, Any]:
        """What ``--plan --json`` says."""
        found: dict[str, Any] = json.loads(self.run("--plan", "--json", *arguments).stdout)["plan"]
        return found


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """One for all tests of the file: none changes the vault."""
    directory = tmp_path_factory.mktemp("owner")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        patch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
        yield Owner(directory)


def test_the_plan_of_a_cluster_is_shown(owner: Owner) -> None:
    """`--plan` shows the sources with their age and the steps, in both modes, and the same each time."""
    plan = owner.plan("--to", "new-cluster")
    assert plan["mode"] == "etcd"
    ids = [step["id"] for step in plan["steps"]]
    assert ids[0] == "network"
    assert ids[-1] == "dns"
    assert "load postgres/main-db/docfast" in ids
    assert {drawn["source"] for drawn in plan["draws_on"]} == {source.name for source in SOURCES}
    assert all(drawn["age"] >= 0 for drawn in plan["draws_on"])
    assert plan["estimate"]["never_run"]
    assert owner.plan("--to", "new-cluster")["steps"] == plan["steps"]
    fresh = owner.plan("--to", "new-cluster", "--mode", "manifests")
    assert "objects apply" in [step["id"] for step in fresh["steps"]]
    shown = owner.run("--to", "new-cluster", "--plan").stdout
    assert "server k3s-w1" in shown
    assert "volume docfast/uploads is in no source" in shown
    assert owner.plan("--to", "hosts")["steps"][0]["id"] == "server s1"


def test_parts_of_a_cluster_are_planned(owner: Owner) -> None:
    """`--only` plans one database or one object into a cluster that is there."""
    plan = owner.plan("--to", "new-cluster", "--only", "databases/docfast")
    assert [step["action"] for step in plan["steps"]][:3] == ["reach", "pod-roles", "pod-create"]
    plan = owner.plan("--to", "new-cluster", "--only", "manifests/docfast/Deployment/web")
    assert [step["id"] for step in plan["steps"]] == ["reach", "objects apply"]
    assert plan["steps"][1]["details"]["parts"] == ["docfast/Deployment/web"]


def test_a_target_of_databases_keeps_its_plan(owner: Owner) -> None:
    """A target without machines is restored as ever: one database by its connection string."""
    plan = owner.plan("--to", "spare", "--only", "databases/docfast")
    assert [step["action"] for step in plan["steps"]][1:] == [
        "create",
        "load",
        "analyze",
        "prove",
        "publish",
        "settings",
    ]


def test_nothing_starts_empty_unless_that_is_accepted(owner: Owner) -> None:
    """A workload whose volume no source has is named before anything is touched; exit 16."""
    refused = owner.run("--to", "new-cluster", expect=16)
    assert "docfast/uploads" in refused.stderr
    assert "--accept-data-loss" in refused.stderr
    assert journal.newest("new-cluster") is None


def test_what_preflight_refuses_is_not_begun(owner: Owner) -> None:
    """A target without a key to log in with is named before anything is touched; no journal, nothing to destroy."""
    refused = owner.run("--to", "new-cluster", "--accept-data-loss", expect=4)
    assert "clusters.new-cluster.ssh.key" in refused.stderr
    assert journal.newest("new-cluster") is None
    owner.run("--to", "new-cluster", "--destroy", expect=16)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--to", "new-cluster", "--mode", "copy"),
        ("--to", "new-cluster", "--namespace", "postgres"),
        ("--to", "new-cluster", "--namespace", "a=b", "--namespace", "a=c", "--mode", "manifests"),
        ("--to", "new-cluster", "--namespace", "a=x", "--namespace", "b=x", "--mode", "manifests"),
        ("--to", "new-cluster", "--namespace", "postgres=data", "--mode", "etcd"),
        ("--to", "new-cluster", "--resume", "--mode", "etcd"),
        ("--to", "new-cluster", "--resume", "--replace"),
        ("--to", "new-cluster", "--destroy", "--plan"),
        ("--to", "new-cluster", "--destroy", "--resume"),
        ("--to", "new-cluster", "--only", "server-files"),
        ("--to", "new-cluster", "--only", "databases", "--mode", "manifests"),
        ("--to", "spare", "--mode", "etcd"),
        ("--to", "spare", "--replace"),
        ("--to", "spare", "--old-is-dead"),
        ("--to", "hosts", "--replace"),
        ("--into", "out", "--mode", "etcd"),
    ],
    ids=" ".join,
)
def test_choices_that_make_no_sense_are_refused(owner: Owner, arguments: tuple[str, ...]) -> None:
    """What contradicts itself, or is not for this kind of target, is exit 2 and changes nothing."""
    assert owner.run(*arguments, expect=2).stderr.startswith("error: ")
