"""The rendered CronJobs in a real cluster: accepted, kept within their rights, and ending with a recovery point."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from drkit.config.load import load
from drkit.cronjobs.tree import render
from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.site import DRKIT
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cronjobs.tree import Tree

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]
NAMESPACE = "test-cronjobs"
IMAGE = os.environ.get("DRKIT_IMAGE", "")
"""Of drkit, in this machine's engine: docker build -t drkit:lab . where a registry has its base image."""
PLACE = "/var/lib/lab/test-cronjobs"
DATABASES = "system:serviceaccount:postgres:drkit-databases"
EVERYTHING = f"system:serviceaccount:{NAMESPACE}:drkit-everything"
DRILLS = f"system:serviceaccount:{NAMESPACE}:drkit-drills"


def _rendered(lab: Lab, directory: Path, *, drills: bool, named: list[str] | None = None, shares: int = 1) -> Tree:
    """The tree for the lab's own configuration, with its files where they are.

    Args:
        lab: it.
        directory: the changed configuration is written there.
        drills: whether there is a job for drills.
        named: databases of the workload's cluster; all of them where left out.
        shares: how many pods share them.
    """
    document = yaml.safe_load(Path(lab["config"]).read_text())
    cronjobs = {"namespace": NAMESPACE, "image": IMAGE or "drkit:lab", "storage": "64Mi", "shares": shares}
    cluster = {"cnpg": "postgres/main-db"} | ({} if named is None else {"databases": named})
    changed = {**document, "databases": [cluster], "cronjobs": cronjobs}
    changed.pop("drills", None)
    if drills:
        changed["schedule"] = {"drills": "0 1 1 1 *"}
    _anchored(changed, Path(lab["config"]).parent)
    (directory / "drkit.yaml").write_text(json.dumps(changed))
    return render(load(directory / "drkit.yaml"), "lab", {}, {})


def _anchored(document: Any, place: Path) -> None:
    """Make the paths in a configuration those of the files beside it."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        if isinstance(value, dict | list):
            _anchored(value, place)
        elif isinstance(value, str) and (place / value).is_file():
            document[key] = str(place / value)


def _server(lab: Lab) -> str:
    return str(next(node["container"] for node in lab["nodes"] if node["name"] == "server-1"))


def _built(lab: Lab, tree: Tree, directory: Path) -> str:
    """What the cluster's own kubectl makes of the tree."""
    for path, text in tree.files.items():
        file = directory / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    subprocess.run(["docker", "cp", f"{directory}/tree", f"{_server(lab)}:{PLACE}"], check=True, timeout=60)
    try:
        done = kubectl(lab, "kustomize", f"{PLACE}/overlays/lab")
    finally:
        subprocess.run(["docker", "exec", _server(lab), "rm", "-rf", PLACE], check=True, timeout=60)
    assert done.status == 0, done.err
    return done.out


def _without_times(manifest: str) -> str:
    """The objects with their CronJobs suspended: nothing runs but what the test starts."""
    found = [each for each in yaml.safe_load_all(manifest) if each]
    for each in found:
        if each["kind"] == "CronJob":
            each["spec"]["suspend"] = True
    return yaml.safe_dump_all(found)


@contextmanager
def _applied(lab: Lab, manifest: str) -> Iterator[None]:
    """The objects in the cluster for the body; they, and nothing else, are gone after it."""
    done = kubectl(lab, "apply", "--server-side", "-f", "-", stdin=manifest)
    try:
        assert done.status == 0, done.err
        yield
    finally:
        kubectl(lab, "delete", "--ignore-not-found", "--timeout=180s", "-f", "-", stdin=manifest)


def test_the_cluster_takes_the_tree(workload: Lab, tmp_path: Path) -> None:
    """Kubectl builds it, and the API takes every object in a dry run, unknown fields being errors."""
    manifest = _built(workload, _rendered(workload, tmp_path, drills=True), tmp_path)
    namespace = next(each for each in yaml.safe_load_all(manifest) if each["kind"] == "Namespace")
    with _applied(workload, yaml.safe_dump(namespace)):
        tried = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
        done = kubectl(workload, *tried, stdin=manifest)
        assert done.status == 0, done.err
        assert "Warning" not in done.err


@pytest.fixture(scope="module")
def rights(workload: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The accounts and their rights, without the jobs."""
    directory = tmp_path_factory.mktemp("rights")
    manifest = _built(workload, _rendered(workload, directory, drills=True), directory)
    kinds = {"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    kept = yaml.safe_dump_all(each for each in yaml.safe_load_all(manifest) if each["kind"] in kinds)
    with _applied(workload, kept):
        yield workload


@pytest.mark.parametrize(
    ("who", "may", "verb", "resource", "namespace"),
    [
        (DATABASES, True, "get", "clusters.postgresql.cnpg.io", "postgres"),
        (DATABASES, True, "list", "pods", "postgres"),
        (DATABASES, True, "create", "pods/exec", "postgres"),
        (DATABASES, False, "get", "secrets", "postgres"),
        (DATABASES, False, "delete", "pods", "postgres"),
        (DATABASES, False, "list", "pods", "kube-system"),
        (DATABASES, False, "create", "pods/exec", "kube-system"),
        (DATABASES, False, "list", "nodes", ""),
        (EVERYTHING, True, "list", "secrets", "kube-system"),
        (EVERYTHING, True, "create", "pods/exec", "postgres"),
        (EVERYTHING, False, "create", "pods/exec", "kube-system"),
        (EVERYTHING, False, "delete", "pods", "postgres"),
        (EVERYTHING, False, "patch", "nodes", ""),
        (EVERYTHING, False, "create", "secrets", NAMESPACE),
        (EVERYTHING, False, "get", "pods/exec", "kube-system"),
        (EVERYTHING, False, "get", "pods/portforward", "postgres"),
        (EVERYTHING, False, "get", "nodes/proxy", ""),
        (DATABASES, False, "get", "pods/proxy", "postgres"),
        (DRILLS, False, "get", "nodes/proxy", ""),
        (DRILLS, True, "watch", "nodes", ""),
        (DRILLS, True, "delete", "pods", "postgres"),
        (DRILLS, True, "patch", "nodes", ""),
        (DRILLS, True, "create", "leases.coordination.k8s.io", "kube-system"),
        (DRILLS, False, "delete", "namespaces", ""),
        (DRILLS, False, "delete", "persistentvolumeclaims", "postgres"),
    ],
)
def test_an_account_may_what_its_job_needs(
    rights: Lab, who: str, may: bool, verb: str, resource: str, namespace: str
) -> None:
    """The API itself says what each job's account may, and what it must not."""
    where = ["-n", namespace] if namespace else []
    name, _, subresource = resource.partition("/")
    more = [f"--subresource={subresource}"] if subresource else []
    done = kubectl(rights, "auth", "can-i", verb, name, *more, *where, f"--as={who}")
    assert done.out.split()[0] == ("yes" if may else "no"), done.err


@pytest.fixture(scope="module")
def image(workload: Lab) -> None:
    """Drkit's image on every node, without a registry."""
    for node in workload["nodes"]:
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saved:
            importing = ["docker", "exec", "-i", node["container"], "k3s", "ctr", "images", "import", "-"]
            subprocess.run(importing, stdin=saved.stdout, check=True, timeout=600)
        assert saved.returncode == 0


@pytest.mark.usefixtures("image")
@pytest.mark.skipif(not IMAGE, reason="NOT TESTED: DRKIT_IMAGE names no image of drkit; docker build -t drkit:lab .")
@pytest.mark.parametrize(
    ("job", "namespace", "sources"),
    [
        ("drkit-databases", "postgres", {"database/postgres/main-db/docfast"}),
        ("drkit-everything", NAMESPACE, {"database/postgres/main-db/docfast", "manifests", "datastore"}),
    ],
)
def test_a_job_ends_with_a_recovery_point(
    workload: Lab, tmp_path: Path, job: str, namespace: str, sources: set[str]
) -> None:
    """The CronJob controller's Job ends well, and the Storage Box has a sealed point more, with what the job is for."""
    # The first backup makes the repositories and the signing key: a pod only reads that one.
    before = _points(workload, "backup", "databases")
    tree = _rendered(workload, tmp_path, drills=False)
    manifest = _without_times(_built(workload, tree, tmp_path))
    with _applied(workload, manifest), _applied(workload, yaml.safe_dump_all(_secrets(workload, tree))):
        _run_job(workload, job, namespace, 600)
    new = [each for each in _points(workload) if each["id"] not in {point["id"] for point in before}]
    assert len(new) == 1
    assert new[0]["complete"]
    assert sources <= {each["name"] for each in new[0]["sources"]}


@pytest.fixture
def hundred(workload: Lab) -> Iterator[list[str]]:
    """A hundred small databases in the workload's cluster."""
    names = [f"many{number:03}" for number in range(100)]
    try:
        _psql(workload, f"create database {names[0]};\n\\c {names[0]}\ncreate table told as select 1 as number;\n")
        _psql(workload, "".join(f"create database {each} template {names[0]};\n" for each in names[1:]))
        yield names
    finally:
        _psql(workload, "".join(f"drop database if exists {each};\n" for each in names))


def _psql(lab: Lab, script: str) -> None:
    """Run a script on the primary, each statement by itself."""
    found = kubectl(lab, "get", "cluster", "main-db", "-n", "postgres", "-o", "jsonpath={.status.currentPrimary}")
    argv = ["exec", "-i", "-n", "postgres", found.out.strip(), "-c", "postgres", "--"]
    done = kubectl(lab, *argv, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", stdin=script)
    assert done.status == 0, done.err


@pytest.mark.usefixtures("image")
@pytest.mark.skipif(not IMAGE, reason="NOT TESTED: DRKIT_IMAGE names no image of drkit; docker build -t drkit:lab .")
def test_a_hundred_databases_end_in_one_point(workload: Lab, tmp_path: Path, hundred: list[str]) -> None:
    """Four pods share a hundred databases out, each to a repository of its own, and a fifth seals one point of them."""
    _run(workload, "backup", "manifests")  # it makes the signing key
    tree = _rendered(workload, tmp_path, drills=False, named=hundred, shares=4)
    manifest = _without_times(_built(workload, tree, tmp_path))
    config = str(tmp_path / "drkit.yaml")
    with _applied(workload, manifest), _applied(workload, yaml.safe_dump_all(_secrets(workload, tree))):
        _run_job(workload, "drkit-databases", "postgres", 1500)
    listed = json.loads(_run(workload, "points", "list", "--json", config=config))["points"]
    shared = [each for each in listed if len({source["vault"] for source in each["sources"]}) > 1]
    [point] = [each for each in shared if f"database/postgres/main-db/{hundred[0]}" in _names(each)]
    assert point["complete"]
    assert {f"database/postgres/main-db/{each}" for each in hundred} <= _names(point)
    assert len({each["vault"] for each in point["sources"]}) == 4
    _run(workload, "verify", point["id"], config=config)


def _names(point: dict[str, Any]) -> set[str]:
    return {each["name"] for each in point["sources"]}


def _run_job(lab: Lab, job: str, namespace: str, seconds: float) -> None:
    """Have the cluster's own CronJob controller start a Job, with the next minute, and see it to a good end."""
    _change(lab, job, namespace, schedule="* * * * *", suspend=False)
    until(lambda: _started(lab, job, namespace), 150, 1)
    _change(lab, job, namespace, suspend=True)
    name = _started(lab, job, namespace)
    until(lambda: _ended(lab, name, namespace), seconds, 1)
    logs = kubectl(lab, "logs", "-n", namespace, "-l", f"batch.kubernetes.io/job-name={name}", "--tail=50")
    assert _ended(lab, name, namespace) == "Complete", logs.out + logs.err


def _change(lab: Lab, job: str, namespace: str, **spec: Any) -> None:
    patch = ["--type=merge", "-p", json.dumps({"spec": spec})]
    done = kubectl(lab, "patch", "cronjob", job, "-n", namespace, *patch)
    assert done.status == 0, done.err


def _started(lab: Lab, cron_job: str, namespace: str) -> str:
    """The Job that the controller made."""
    said = kubectl(lab, "get", "jobs", "-n", namespace, "-o", "json")
    for each in json.loads(said.out)["items"]:
        owners = each["metadata"].get("ownerReferences") or []
        if any((owner["kind"], owner["name"]) == ("CronJob", cron_job) for owner in owners):
            return str(each["metadata"]["name"])
    return ""


_ENDS = {"Complete", "Failed"}


def _ended(lab: Lab, name: str, namespace: str) -> str:
    said = kubectl(lab, "get", "job", name, "-n", namespace, "-o", "json")
    conditions = json.loads(said.out).get("status", {}).get("conditions", []) if said.status == 0 else []
    return next((each["type"] for each in conditions if each["status"] == "True" and each["type"] in _ENDS), "")


def _points(lab: Lab, *first: str) -> list[dict[str, Any]]:
    """The recovery points, after a command that is run before."""
    if first:
        _run(lab, *first)
    found: list[dict[str, Any]] = json.loads(_run(lab, "points", "list", "--json"))["points"]
    return found


def _run(lab: Lab, *words: str, config: str = "") -> str:
    argv = [DRKIT, *words, "--config", config or lab["config"]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _secrets(lab: Lab, tree: Tree) -> list[dict[str, Any]]:
    """The Secrets that somebody has to make, from the lab's own files."""
    place = Path(lab["config"]).parent
    files = {
        "passphrase": "passphrase",
        "known-hosts": "known_hosts",
        "ssh-key": "box-append-only",
        "signing.key": "signing.key",
        "signing.key.pub": "signing.key.pub",
        "servers-ssh-key": "node-key",
        "servers-known-hosts": "known_hosts",
    }

    def content(key: str) -> str:
        name = files.get(key) or files[key.removeprefix("cluster-").removeprefix("databases-")]
        return (place / name).read_text()

    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": each.name, "namespace": each.namespace},
            "stringData": {key: content(key) for key in each.keys},
        }
        for each in tree.secrets
    ]
