"""``drkit harden`` as it is called: what it prints, and what it ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.cluster.local import LocalNode
from drkit.drill import lease
from drkit.posture.addons import on_servers, owned
from drkit.posture.drift import APPLIED, DRIFTED, KEPT, REFUSED
from tests.contract.api_fields import Fields
from tests.contract.api_server import DEPLOYMENTS, MemoryApi, memory_api, resource
from tests.unit.test_harden import deployment, there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEASES = resource("leases", "Lease", "coordination.k8s.io")
NODES = resource("nodes", "Node", namespaced=False)
PATCHES = """\
patches:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {namespace: kube-system, name: coredns}
  spec: {replicas: 3}
"""


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """A cluster with CoreDNS."""
    with memory_api() as made:
        made.resources += [LEASES, NODES]
        made.fields = Fields()
        made.add(DEPLOYMENTS, deployment("kube-system", "coredns"))
        yield made


def configured(memory: MemoryApi, directory: Path, patches: str = PATCHES) -> Path:
    """A configuration that leads to it."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": memory.url}}],
        "users": [{"name": "u", "user": {"token": "of-the-test"}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(kubeconfig), encoding="utf-8")
    file = directory / "drkit.yaml"
    vaults = "vaults:\n  databases: {url: vault, passphrase: {env: BORG}}\n"
    file.write_text(f"cluster: {{name: shop, kubeconfig: kubeconfig}}\n{vaults}{patches}", encoding="utf-8")
    return file


def run(file: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document."""
    ended = CliRunner().invoke(app, ["harden", "--config", str(file), "--json", *words])
    return ended.exit_code, json.loads(ended.stdout)


def test_a_plan_ends_with_23_until_it_was_applied(memory: MemoryApi, tmp_path: Path) -> None:
    """Scripts see from the exit code whether there is drift, and after applying that there is none."""
    file = configured(memory, tmp_path)
    code, said = run(file, "--plan")
    assert (code, said["cluster"], said["plan"], said["drifted"]) == (23, "shop", True, 1)
    assert said["patches"][0]["change"]["fields"] == [
        {"path": "spec.replicas", "change": "changed", "before": "1", "after": "3"}
    ]
    code, said = run(file)
    assert (code, said["drifted"], said["patches"][0]["state"]) == (0, 0, "applied")
    assert [run(file, "--plan")[0], run(file)[0]] == [0, 0]
    assert run(file)[1]["patches"][0]["state"] == "kept"


def test_people_are_shown_each_field(memory: MemoryApi, tmp_path: Path) -> None:
    """The difference stands there field by field, and who is in the way."""
    file = configured(memory, tmp_path)
    shown = CliRunner().invoke(app, ["harden", "--config", str(file), "--plan"])
    assert shown.stdout == "Deployment kube-system/coredns: to be applied\n    spec.replicas: 1 -> 3\n"
    assert memory.fields is not None
    found = there(memory, DEPLOYMENTS, "coredns")
    memory.fields.set((DEPLOYMENTS.path, "kube-system", "coredns"), "deploy@k3s-mgr", found)
    shown = CliRunner().invoke(app, ["harden", "--config", str(file)])
    assert shown.exit_code == 3
    assert "take_over: true" in shown.stdout
    assert "    set by deploy@k3s-mgr: .spec.replicas\n" in shown.stdout


def test_one_at_a_time_applies(memory: MemoryApi, tmp_path: Path) -> None:
    """While another drkit works on the cluster and lives, nothing is applied; looking is allowed."""
    from drkit.cluster.api import connect  # noqa: PLC0415 - only here

    file = configured(memory, tmp_path)
    timing = lease.Timing(renewed=0.1)
    with lease.hold(connect(memory.access), "drill worker-down", timing=timing):
        assert run(file, "--plan")[0] == 23
        code, said = run(file)
    assert code == 16
    assert "drill worker-down" in said["error"]["message"]
    assert there(memory, DEPLOYMENTS, "coredns")["spec"]["replicas"] == 1
    assert run(file)[0] == 0


def test_without_patches_there_is_nothing_to_do(memory: MemoryApi, tmp_path: Path) -> None:
    """Where none are declared no API is needed."""
    code, said = run(configured(memory, tmp_path, ""))
    assert (code, said["patches"]) == (0, [])


def test_what_is_owned_is_skipped_by_k3s(tmp_path: Path) -> None:
    """A server gets the file that makes k3s leave an AddOn alone, once; a look writes none, nor does an odd name."""
    directory = str(tmp_path)
    (tmp_path / "coredns.yaml").write_text("kind: Deployment\n", encoding="utf-8")
    nodes = [LocalNode("k3s-mgr")]

    def states(name: str, *, dry_run: bool) -> list[str]:
        return [each.state for each in on_servers(nodes, {0: name}, dry_run=dry_run, directory=directory)]

    assert states("coredns", dry_run=True) == [DRIFTED]
    assert not (tmp_path / "coredns.yaml.skip").exists()
    assert states("coredns", dry_run=False) == [APPLIED]
    assert (tmp_path / "coredns.yaml.skip").is_file()
    assert states("coredns", dry_run=False) == [KEPT]
    assert states("../coredns", dry_run=False) == states("own-thing", dry_run=False) == [REFUSED]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["coredns.yaml", "coredns.yaml.skip"]


def test_the_addon_of_an_object_is_k3s_word(memory: MemoryApi, tmp_path: Path) -> None:
    """An object may be called otherwise than the AddOn that it is of."""
    from drkit.cluster.api import connect  # noqa: PLC0415 - only here
    from drkit.config.load import load  # noqa: PLC0415 - likewise

    config = load(configured(memory, tmp_path, f"{PATCHES}  own: true\n"))
    api = connect(memory.access)
    assert owned(api, config) == {0: "coredns"}
    there(memory, DEPLOYMENTS, "coredns")["metadata"]["annotations"] = {"objectset.rio.cattle.io/owner-name": "dns"}
    assert owned(api, config) == {0: "dns"}
