"""The commands on the pages about what the audit finds, given on a cluster with the sample workload.

A command that only asks whether it helped may still find something else in a lab: ``drkit audit`` ends with 23 then.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.cli.audit import FINDINGS
from drkit.lab import machines
from drkit.lab.files import HCLOUD_TOKEN, files_of
from drkit.lab.hcloud.seed import serving_lab
from drkit.observe.progress import PlainReporter
from tests.lab.labs import COLD_SECONDS, ssh
from tests.lab.scene import Scene, finish
from tests.lab.waiting import until
from tests.runbooks import AUDIT, pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

PAGES = pages(AUDIT)
NAMES = {
    "k3s-mgr": "server-1",
    "k3s-s1": "agent-2",
    "k3s-w1": "agent-1",
    "cnpg-controller-manager": "cnpg-stand-in-controller-manager",
}
"""What is called otherwise in a lab; the node that a page gives up for lost is an agent, which can come back."""
PATCHED = """
patches:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {namespace: docfast, name: docfast}
  take_over: true
  spec: {template: {spec: {terminationGracePeriodSeconds: 6}}}
"""
CERTIFICATES = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: @PLURAL@.@GROUP@}
spec:
  group: @GROUP@
  scope: Namespaced
  names: {kind: @KIND@, plural: @PLURAL@, singular: @SINGULAR@}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
"""cert-manager's, as far as it is asked for: the lab has none."""


@pytest.fixture(scope="module")
def scene(lab_user: LabUser, docker_engine: DockerClient) -> Iterator[Scene]:
    """One server and two agents with the sample workload, backed up once."""
    name = f"{lab_user.prefix}-audit"
    lab = lab_user.run("up", "--workload", "--json", name=name).json()
    files = lab_user.home / "state/drkit/labs" / name
    token = (files / HCLOUD_TOKEN).read_text().strip()
    with (
        pytest.MonkeyPatch.context() as patch,
        serving_lab(docker_engine, name, token, PlainReporter()) as api,
    ):
        patch.setenv("XDG_STATE_HOME", str(lab_user.home / "state"))
        assert files_of(name).directory == files
        made = Scene(lab_user, lab, machines.lab_of(docker_engine, name), docker_engine, api, files)
        made.equip()
        made.backup()
        yield made
    lab_user.run("down", name=name)


def follow(scene: Scene, page: str) -> list[str]:
    """Give all commands of a page; what each block printed."""
    said = []
    for block in PAGES[page].blocks:
        text = re.sub("|".join(NAMES), lambda match: NAMES[match[0]], block.text)
        done = finish(scene.shell(text))
        asked = text.splitlines()[-1].startswith("drkit audit")
        assert done.status in ({0, FINDINGS} if asked else {block.status}), f"{text}{done.status}\n{done.out}{done.err}"
        said.append(done.out)
    return said


def test_backups_are_made_and_read_back(scene: Scene) -> None:
    """What the page orders makes its findings go: a point is read back, and one restored into scratch."""
    *_, checked = follow(scene, "backups")
    assert "backup-unverified" not in checked
    assert "backup-unproven" not in checked


def test_a_budget_is_made_and_taken_away(scene: Scene) -> None:
    """A drain that is tried with it would end, and nothing is left of it."""
    follow(scene, "budgets")
    assert "docfast" not in scene.kubectl("get", "poddisruptionbudgets", "--namespace", "docfast", "--output", "name")


def test_a_certificate_is_asked_for(scene: Scene) -> None:
    """cert-manager's objects are found under the names on the page."""
    for kind, plural, group in (
        ("Certificate", "certificates", "cert-manager.io"),
        ("Challenge", "challenges", "acme.cert-manager.io"),
    ):
        text = CERTIFICATES.replace("@KIND@", kind).replace("@PLURAL@", plural).replace("@GROUP@", group)
        scene.kubectl("apply", "-f", "-", stdin=text.replace("@SINGULAR@", kind.lower()))
        scene.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{group}")
    metadata = {"name": "certificate", "namespace": "docfast"}
    made = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata}
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    _, asked, _ = follow(scene, "certificates")
    assert "certificate" in asked


@pytest.mark.parametrize("page", ["etcd", "load-balancer", "network", "timing"])
def test_what_is_asked_and_tuned(scene: Scene, page: str) -> None:
    """Each command does something, and windows with other settings are shown beside what they are now."""
    said = follow(scene, page)
    assert all(said)
    if page in {"load-balancer", "timing"}:
        assert "BEFORE" in said[0]


def test_a_lost_patch_is_applied_and_taken_back(scene: Scene) -> None:
    """The plan names the field, applying it leaves nothing to do, and the way back leads back."""
    before = scene.config.read_text()
    scene.config.write_text(before + PATCHED)
    path = ["get", "deployment", "docfast", "--namespace", "docfast", "--output"]
    path += ["jsonpath={.spec.template.spec.terminationGracePeriodSeconds}"]
    try:
        plan, _, _, _ = follow(scene, "patches")
    finally:
        scene.config.write_text(before)
    assert "terminationGracePeriodSeconds: 5 -> 6" in plan
    assert scene.kubectl(*path) == "5"


def test_pods_are_placed_anew(scene: Scene) -> None:
    """The audit's own patches are in its document, and a restart places the pods by them."""
    # The lab has the taint that the page sets.
    scene.kubectl("taint", "node", "server-1", "node-role.kubernetes.io/control-plane:NoSchedule-")
    follow(scene, "placement")
    found = json.loads((scene.directory / "audit.json").read_text())
    assert any(each["fix"]["patch"] for each in found["findings"])


def test_a_database_gets_another_instance(scene: Scene) -> None:
    """The cluster's settings take what the page writes into them."""
    follow(scene, "postgres")
    name = ["cluster.postgresql.cnpg.io", "main-db", "--namespace", "postgres"]
    assert scene.kubectl("get", *name, "--output", "jsonpath={.spec.instances}") == "3"
    # Two agents have no place for a third one.
    scene.kubectl("patch", *name, "--type", "merge", "--patch", '{"spec":{"instances":2}}')


def test_there_are_two_of_everything(scene: Scene) -> None:
    """Each command scales what the page says."""
    follow(scene, "replicas")
    shown = "jsonpath={.spec.replicas}"
    assert scene.kubectl("get", "deployment", "coredns", "--namespace", "kube-system", "--output", shown) == "3"


def test_a_key_becomes_a_secret(scene: Scene) -> None:
    """From a file, and never by the command line."""
    # The scene's kubectl runs on the server, below /.
    assert ssh(scene.lab, "server-1", "echo of the test >/key").status == 0
    follow(scene, "secrets")
    assert scene.kubectl("get", "secret", "docfast-api", "--namespace", "docfast", "--output", "jsonpath={.data.key}")


def test_a_volume_is_looked_at(scene: Scene) -> None:
    """Who uses it, and which class it is of."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "uploads", "namespace": "docfast"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    asked, *_ = follow(scene, "volumes")
    assert "StorageClass" in asked


def test_a_node_is_given_up_and_joins_again(scene: Scene) -> None:
    """What is deleted is gone until its k3s is started again, as the page says of one that is put in its place."""
    follow(scene, "control-plane")
    assert ssh(scene.lab, "agent-2", "systemctl restart k3s-agent").status == 0
    until(lambda: "agent-2" in scene.kubectl("get", "nodes", "--output", "name"), 180, every=1)


def test_every_page_is_followed() -> None:
    """No page that the audit leads to is without a test of its commands."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert {page for page in PAGES if f'"{page}"' not in source} == set()
