"""Files in a volume, backed up into two vaults: all nodes and one vault are lost, and the files come back."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab import containers, machines
from drkit.lab.k3s.standin.agent import PAUSE_IMAGE
from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.rebuilds import SPARES, Lost, configuration, ended, spares
from tests.lab.site import PASSPHRASE, Site
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from drkit.lab.postgres import LabPostgres
    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

NAMESPACE, NAME = "files", "uploads"
_WRITE = r"""
cd "$1" && printf 'of a user' >"$(printf 'two\nlines')" && ln two* 'hard link' && chown 1234:5678 'hard link'
chmod 0640 'hard link' && truncate -s 1G holes && printf end >>holes && mkdir -m 1777 deep && ln -s /nowhere deep/link
"""
_READ = r"""
cd "$1" && cat two* && stat -c ' %u:%g %a %h' 'hard link' && stat -c '%s' holes && readlink deep/link && du -k holes
"""


def on(container: str, script: str, *arguments: str) -> str:
    """What a shell script on a machine prints."""
    argv = ["docker", "exec", container, "sh", "-c", script, "sh", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def path_of(volume: dict[str, Any]) -> str:
    """Where local-path has put it: it makes volumes of either kind."""
    spec = volume["spec"]
    path: str = (spec.get("local") or spec["hostPath"])["path"]
    return path


def workload() -> list[dict[str, Any]]:
    """A claim, and what mounts it."""
    labels = {"app": "media"}
    pod = {
        "containers": [
            {
                "name": "media",
                "image": PAUSE_IMAGE,
                "imagePullPolicy": "Never",
                "volumeMounts": [{"name": "files", "mountPath": "/files"}],
            }
        ],
        "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": NAME}}],
        "terminationGracePeriodSeconds": 0,
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"backup": "files"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local-path",
                "resources": {"requests": {"storage": "10Mi"}},
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "media", "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


def two_vaults(text: str) -> str:
    """A configuration whose cluster goes to a second vault too, with the volume."""
    vault = "{url: offsite, passphrase: {file: passphrase}, lock_wait: 2}"
    text = text.replace("  name: lab\n", "  name: lab\n  vaults: [cluster, offsite]\n")
    text = text.replace("vaults:\n  databases", f"vaults:\n  offsite: {vault}\n  databases")
    chosen = f"{{namespace: {NAMESPACE}, labels: {{backup: files}}, vaults: [cluster, offsite]}}"
    return f"{text}volumes: [{chosen}]\n"


@pytest.fixture(scope="module")
def lost(
    lab_user: LabUser, docker_engine: DockerClient, postgres: LabPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    """One server and one agent with files in a volume, backed up into two vaults; nodes and first vault destroyed."""
    name = f"{lab_user.prefix}-volumes"
    lab: dict[str, Any] = lab_user.run("up", "--servers", "1", "--agents", "1", "--json", name=name).json()
    site = Site(tmp_path_factory.mktemp("volumes"), postgres)
    (site.path / "passphrase").write_text(PASSPHRASE + "\n")
    site.config.write_text(two_vaults(configuration(lab, [])))
    fill(lab)
    made = ended(site.start("backup", "--json"))
    assert made.status == 0, f"{made.out}\n{made.err}"
    sealed = made.json()["point"]
    assert sealed["volumes"] == []
    kept = [each for each in sealed["sources"] if each["kind"] == "volumes"]
    assert [each["vault"] for each in kept] == ["cluster", "offsite"]
    assert len({each["details"]["digest"] for each in kept}) == 1
    topology = machines.lab_of(docker_engine, lab["name"])
    for node in topology.nodes:
        container = containers.get(docker_engine, node.name)
        assert container is not None
        container.remove(force=True, v=True)
    shutil.rmtree(site.path / "other")
    yield Lost(lab, site, docker_engine, topology, {})
    lab_user.run("down", name=name)


def fill(lab: dict[str, Any]) -> None:
    """Let something mount the volume, and put files into it."""
    for each in workload():
        done = kubectl(lab, "apply", "-f", "-", stdin=json.dumps(each))
        assert done.status == 0, done.err
    ready = kubectl(lab, "-n", NAMESPACE, "rollout", "status", "deployment", "media", "--timeout=110s")
    assert ready.status == 0, ready.err
    (volume,) = kubectl(lab, "get", "pv", "-o", "json").json()["items"]
    (pod,) = kubectl(lab, "get", "pods", "-n", NAMESPACE, "-o", "json").json()["items"]
    container = next(each["container"] for each in lab["nodes"] if each["name"] == pod["spec"]["nodeName"])
    on(container, _WRITE, path_of(volume))


@pytest.mark.parametrize("mode", ["etcd", "manifests"])
def test_the_files_come_back_before_who_mounts_them_wakes(lost: Lost, mode: str) -> None:
    """Drawn from the vault that is left, into the claim's new volume, proven; then the application runs on it."""
    known_hosts = lost.site.path / "spare_hosts"
    with spares(lost.engine, lost.topology, lost.lab, known_hosts, workload=False) as addresses:
        lost.site.config.write_text(two_vaults(configuration(lost.lab, addresses)))
        report = lost.restored("--mode", mode, "--old-is-dead")
        assert {each["status"] for each in report["steps"]} == {"done"}
        order = [each["id"] for each in report["steps"]]
        assert order.index(f"fill {NAMESPACE}/{NAME}") < order.index(f"see-filled {NAMESPACE}/{NAME}")
        assert order.index(f"see-filled {NAMESPACE}/{NAME}") < order.index("release")
        assert not [each for each in report["warnings"] if "comes back empty" in str(each)]
        (volume,) = lost.items("persistentvolumes")
        (host,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
        assert host in SPARES
        found = machines.find(lost.engine, lost.topology, host)
        assert found is not None
        said = on(str(found.name), _READ, path_of(volume)).split()
        assert said[:7] == ["of", "a", "user", "1234:5678", "640", "2", str((1 << 30) + 3)]
        assert said[7] == "/nowhere"
        assert int(said[8]) < 1000
        until(
            lambda: (
                [
                    each["status"].get("readyReplicas")
                    for each in lost.items("deployments")
                    if each["metadata"]["name"] == "media"
                ]
                == [1]
            ),
            240,
            1,
        )
