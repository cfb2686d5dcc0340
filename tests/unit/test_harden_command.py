"""``drkit harden`` as it is called: what it prints, and what it ends with."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.cluster.api import connect
from drkit.cluster.local import LocalNode
from drkit.config.load import load
from drkit.drill import lease
from drkit.posture.addons import Addon, addons, own_on, skip_on
from drkit.posture.drift import APPLIED, DRIFTED, KEPT, REFUSED, Found
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


COREDNS = """\
# Of k3s.
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec: {template: {spec: {containers: [{name: coredns, image: "coredns:1"}]}}}
"""


def test_what_is_owned_is_skipped_by_k3s(memory: MemoryApi, tmp_path: Path) -> None:
    """A server gets the file that makes k3s leave an AddOn alone, once; a look writes none, nor does an odd name."""
    directory = str(tmp_path)
    (tmp_path / "coredns.yaml").write_text("kind: Deployment\n", encoding="utf-8")
    (coredns,) = addons_of(memory, tmp_path)

    def states(name: str, *, dry_run: bool) -> list[str]:
        found = skip_on([LocalNode("k3s-mgr")], [replace(coredns, name=name)], dry_run=dry_run, directory=directory)
        return [each.state for each in found]

    assert states("coredns", dry_run=True) == [DRIFTED]
    assert not (tmp_path / "coredns.yaml.skip").exists()
    assert states("coredns", dry_run=False) == [APPLIED]
    assert (tmp_path / "coredns.yaml.skip").is_file()
    assert states("coredns", dry_run=False) == [KEPT]
    assert states("../coredns", dry_run=False) == states("own-thing", dry_run=False) == [REFUSED]
    assert sorted(each.name for each in tmp_path.glob("*.yaml*")) == ["coredns.yaml", "coredns.yaml.skip", "drkit.yaml"]


def addons_of(memory: MemoryApi, directory: Path, patches: str = f"{PATCHES}  own: true\n") -> tuple[Addon, ...]:
    """The AddOns that patches own."""
    return addons(load(configured(memory, directory, patches)), connect(memory.access))


def test_what_is_owned_is_a_manifest_of_ones_own(memory: MemoryApi, tmp_path: Path) -> None:
    """In place of the packaged one a server has all of its objects, the patched one as the cluster has it."""
    directory, api = tmp_path / "manifests", connect(memory.access)
    directory.mkdir()
    (directory / "coredns.yaml").write_text(COREDNS, encoding="utf-8")
    live = there(memory, DEPLOYMENTS, "coredns")
    live["metadata"]["annotations"] = {
        "objectset.rio.cattle.io/applied": "H4sI",
        "deployment.kubernetes.io/revision": "3",
    }
    live["spec"]["replicas"] = 3

    def made(found: tuple[Addon, ...], *, dry_run: bool = False) -> Found:
        (one,) = own_on([LocalNode("k3s-mgr")], found, api, dry_run=dry_run, directory=str(directory))
        return one

    found, own = addons_of(memory, tmp_path), directory / "drkit-coredns.yaml"
    assert made(found, dry_run=True).state == DRIFTED
    assert not own.exists()
    assert made(found).state == APPLIED
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    account, deployed = (each for each in yaml.safe_load_all(own.read_text()) if each)
    assert account["kind"] == "ServiceAccount"
    assert deployed["spec"] == live["spec"]
    assert deployed["metadata"] == {"name": "coredns", "namespace": "kube-system"}
    assert made(found, dry_run=True).state == KEPT
    # Another wish is another manifest.
    assert made(addons_of(memory, tmp_path, f"{PATCHES.replace('3', '4')}  own: true\n"), dry_run=True).state == DRIFTED
    # What k3s packages after an upgrade is told of, and not taken up unasked.
    (directory / "coredns.yaml").write_text(COREDNS.replace("coredns:1", "coredns:2"), encoding="utf-8")
    assert (made(found).state, "packages another" in made(found).note) == (KEPT, True)


def test_an_object_that_is_of_no_addon_is_not_owned(memory: MemoryApi, tmp_path: Path) -> None:
    """Where the packaged manifest has no such object, or is none, no manifest is made in its place."""
    found, api = addons_of(memory, tmp_path), connect(memory.access)
    for text, said in (
        (COREDNS.replace("Deployment", "DaemonSet"), "Deployment kube-system coredns"),
        ("{", "no mani"),
    ):
        (tmp_path / "coredns.yaml").write_text(text, encoding="utf-8")
        (one,) = own_on([LocalNode("k3s-mgr")], found, api, dry_run=False, directory=str(tmp_path))
        assert (one.state, said in one.why) == (REFUSED, True)
        assert not (tmp_path / "drkit-coredns.yaml").exists()


def test_the_addon_of_an_object_is_k3s_word(memory: MemoryApi, tmp_path: Path) -> None:
    """An object may be called otherwise than the AddOn that it is of; drkit's own one stands for the packaged one."""
    assert [each.name for each in addons_of(memory, tmp_path)] == ["coredns"]
    annotations = there(memory, DEPLOYMENTS, "coredns")["metadata"].setdefault("annotations", {})
    for name in ("dns", "drkit-dns"):
        annotations["objectset.rio.cattle.io/owner-name"] = name
        assert [each.name for each in addons_of(memory, tmp_path)] == ["dns"]
