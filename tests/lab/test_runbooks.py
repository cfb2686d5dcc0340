"""The runbooks' commands, given in the situations that their pages are about; the tests stand in the order of a story.

One owner, one cluster: first it lives, then all of it is lost, and comes back in one way after the other.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from drkit.lab import inside, machines
from drkit.lab.files import HCLOUD_TOKEN, TARGET, files_of
from drkit.lab.hcloud.seed import serving_lab
from drkit.lab.workload import images
from drkit.observe.progress import PlainReporter
from tests.lab.labs import COLD_SECONDS
from tests.lab.rebuilds import SPARES
from tests.lab.scene import Scene, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

DATABASE = "postgres/main-db"


@pytest.fixture(scope="module")
def scene(lab_user: LabUser, docker_engine: DockerClient) -> Iterator[Scene]:
    """One server and one agent with the sample workload, seen as a Hetzner project; backed up twice."""
    name = f"{lab_user.prefix}-runbooks"
    options = ("--servers", "1", "--agents", "1", "--workload", "--json")
    lab = lab_user.run("up", *options, name=name).json()
    files = lab_user.home / "state/drkit/labs" / name
    archive = images.archive(sorted(images.ensure_all(docker_engine, PlainReporter()).values()))
    token = (files / HCLOUD_TOKEN).read_text().strip()
    with (
        pytest.MonkeyPatch.context() as patch,
        serving_lab(docker_engine, name, token, PlainReporter(), images=archive) as api,
    ):
        patch.setenv("XDG_STATE_HOME", str(lab_user.home / "state"))
        assert files_of(name).directory == files
        made = Scene(lab_user, lab, machines.lab_of(docker_engine, name), docker_engine, api, files)
        made.equip()
        made.write(10)
        made.backup()
        made.well = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made.kubectl("-n", "docfast", "create", "configmap", "later", "--from-literal=day=two")
        made.backup()
        yield made
    lab_user.run("down", name=name)


def follow(scene: Scene, page: str) -> list[str]:
    """Give all commands of a page; what each block printed."""
    return [done.out for done in scene.follow(page)]


def test_an_object_is_gone(scene: Scene) -> None:
    """It comes back as it was, and nothing else changes."""
    before = json.loads(scene.kubectl("-n", "docfast", "get", "configmap", "settings", "-o", "json"))
    scene.kubectl("-n", "docfast", "delete", "configmap", "settings")
    differences, written, _ = follow(scene, "deleted-object")
    assert "later" in differences
    assert "recovered" in written
    after = json.loads(scene.kubectl("-n", "docfast", "get", "configmap", "settings", "-o", "json"))
    assert after["data"] == before["data"]


def test_something_is_wanted_beside_what_lives(scene: Scene) -> None:
    """Settings come back under another namespace, and the living ones stay as they are."""
    before = json.loads(scene.kubectl("-n", "docfast", "get", "configmap", "settings", "-o", "json"))
    _, listed, _ = follow(scene, "beside-the-living")
    assert "configmap/settings" in listed
    after = json.loads(scene.kubectl("-n", "docfast", "get", "configmap", "settings", "-o", "json"))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_database_is_damaged(scene: Scene) -> None:
    """Its rows are back, the damaged one is kept beside it, and the application serves them."""
    primary = json.loads(scene.kubectl("-n", "postgres", "get", "clusters.postgresql.cnpg.io", "main-db", "-o", "json"))
    pod = primary["status"]["currentPrimary"]
    in_pod = ("-n", "postgres", "exec", pod, "-c", "postgres", "--", "psql", "-XqtA", "-d")
    scene.kubectl(*in_pod, "docfast", "-c", "delete from web_document")
    assert not scene.serves()
    follow(scene, "damaged-database")
    until(scene.serves, 60, 0.5)
    listed = scene.kubectl(*in_pod, "postgres", "-c", "select datname from pg_database").split()
    assert {"docfast", "docfast_damaged"} <= set(listed)


def test_the_target_is_not_empty(scene: Scene) -> None:
    """A cluster that lives is not touched by a restore onto its own machines."""
    follow(scene, "target-not-empty")
    assert scene.serves()


def test_the_old_cluster_is_alive(scene: Scene) -> None:
    """A restore elsewhere is refused before anything is done, unless its owner vouches for the old one's death."""
    with scene.spare():
        follow(scene, "old-cluster-alive")
    assert scene.serves()


def test_the_vault_does_not_open(scene: Scene) -> None:
    """Where all is well, the commands that tell so tell so."""
    follow(scene, "vault-does-not-open")


def test_the_machine_that_drkit_ran_on_is_gone(scene: Scene) -> None:
    """With bundle and identity alone the points are there again."""
    whole = scene.config.read_text()
    key = pyrage.x25519.Identity.generate()
    (scene.directory / "identity").write_text(f"{key}\n")
    scene.config.write_text(f'{whole}\nescrow: {{recipients: ["{key.to_public()}"]}}\n')
    exported = finish(scene.shell("drkit keys export --to escrow.age"))
    assert exported.status in {0, 3}, exported
    assert "NOT IN IT: k3s-token" not in exported.out
    scene.config.unlink()
    try:
        proven, _, points = follow(scene, "drkit-machine-lost")
        assert "descriptor is whole and signed" in proven
        assert scene.point in points
        assert Path("/dev/shm/escrow/keys/k3s-token").read_text().strip()
    finally:
        scene.config.write_text(whole)
        shutil.rmtree("/dev/shm/escrow", ignore_errors=True)


def test_the_point_is_incomplete(scene: Scene) -> None:
    """A point of which a source failed is told by, and taken only where that is accepted."""
    whole = scene.config.read_text()
    (scene.directory / "nowhere").write_text("postgresql://nobody@127.0.0.1:1/nothing\n")
    scene.config.write_text(f"{whole}\ndatabases: [{{name: nothing, dsn: {{file: nowhere}}}}]\n")
    scene.point = scene.backup(status=3)["id"]
    scene.config.write_text(whole)
    refused = finish(scene.shell(f"drkit restore --to {TARGET} --point {scene.point} --plan"))
    assert refused.status == 16, refused
    follow(scene, "incomplete-point")


def test_volumes_that_no_source_has(scene: Scene) -> None:
    """They are named; what uses them is not started empty unasked. The whole of it is told at the end of the story."""
    whole = scene.config.read_text()
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "cache", "namespace": "docfast"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    web = json.loads(scene.kubectl("-n", "docfast", "get", "deployment", "docfast", "-o", "json"))
    container = {
        **{key: web["spec"]["template"]["spec"]["containers"][0][key] for key in ("name", "image")},
        "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    }
    pod = {
        "containers": [container],
        "tolerations": web["spec"]["template"]["spec"].get("tolerations", []),
        "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}],
        "terminationGracePeriodSeconds": 0,
    }
    labels = {"app": "cache"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cache", "namespace": "docfast"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    for each in (claim, deployment):
        scene.kubectl("apply", "-f", "-", stdin=json.dumps(each))
    scene.kubectl("-n", "docfast", "rollout", "status", "deployment", "cache", "--timeout=120s")
    # Vaults of its own: elsewhere in the story nothing is to be accepted.
    lines = [line for line in whole.splitlines() if not line.startswith(("  cluster: {url", "  databases: {url"))]
    vaults = [f"  {name}: {{url: with-{name}, passphrase: {{file: passphrase}}}}" for name in ("cluster", "databases")]
    lines[lines.index("vaults:") + 1 : lines.index("vaults:") + 1] = vaults
    (scene.directory / "with-volume.yaml").write_text("\n".join([*lines, ""]))
    done = finish(scene.shell("drkit backup --config with-volume.yaml --json"))
    assert done.status == 0, f"{done.out}\n{done.err}"
    for each in (deployment, claim):
        scene.kubectl("delete", "-f", "-", stdin=json.dumps(each))


def test_every_server_is_lost(scene: Scene) -> None:
    """The whole cluster comes back behind the same load balancer; and gives its names back where it has to."""
    scene.lose()
    before = scene.names()
    status, plan, done = follow(scene, "every-server-lost")
    assert "datastore" in status
    assert "server-1" in plan
    assert "equal" in done
    until(scene.serves, 120, 1)
    assert follow(scene, "names-back")
    assert scene.names() == before


def test_a_server_is_not_to_be_had_and_the_restore_is_cut_short(scene: Scene) -> None:
    """One to an earlier time meets a limit; it goes on when that is gone, is killed, goes on again, and is whole."""
    scene.api.project.trouble.limits = {"servers": 1}
    plan_of, at_that_time = scene.blocks("earlier-time")[1:]
    points = scene.give(scene.blocks("earlier-time")[0]).out
    assert scene.point in points
    scene.give(plan_of)
    stopped = finish(scene.shell(at_that_time.text))
    assert (stopped.status, "server limit exceeded" in stopped.err) == (1, True), stopped
    scene.api.project.trouble.limits = {}
    scene.kill_in(scene.blocks("server-not-to-be-had")[0], f"postgres {DATABASE}")
    follow(scene, "restore-cut-short")
    until(scene.serves, 120, 1)


def test_start_again(scene: Scene) -> None:
    """What the restore made is gone, and nothing is in the way of the next one."""
    removed, _ = follow(scene, "start-again")
    assert "server-1" in removed
    assert not scene.serves()


def test_a_fresh_identity(scene: Scene) -> None:
    """All objects and data come back in a cluster with keys of its own."""
    follow(scene, "fresh-identity")
    until(scene.serves, 120, 1)
    scene.give(scene.blocks("start-again")[0])


def test_hosts_of_your_own(scene: Scene) -> None:
    """The cluster comes back on hosts that nobody's API knows."""
    with scene.spare() as found:
        follow(scene, "hosts-of-your-own")
        until(lambda: scene.serves(found[SPARES[1]]), 120, 1)


def test_a_private_cluster(scene: Scene) -> None:
    """The same over one host, which every connection goes through."""
    with scene.spare(through="bastion") as found:
        follow(scene, "private-cluster")
        until(lambda: scene.serves(found[SPARES[1]]), 120, 1)
        bastion = machines.find(scene.engine, scene.topology, "bastion")
        assert bastion is not None
        _, seen = inside.run_in(bastion, "journalctl", "-u", "ssh", "--no-pager")
        assert "Accepted publickey for root" in seen


def test_what_uses_an_empty_volume_starts_where_that_is_accepted(scene: Scene) -> None:
    """The page's commands, with the backup that has such a volume."""
    whole = scene.config.read_text()
    shutil.copy(scene.directory / "with-volume.yaml", scene.config)
    refused = finish(scene.shell(f"drkit restore --to {TARGET}"))
    assert refused.status == 16, refused
    assert "docfast/cache" in refused.err
    told, _ = follow(scene, "volumes-without-a-source")
    assert "docfast/cache" in told
    until(scene.serves, 120, 1)
    scene.config.write_text(whole)
