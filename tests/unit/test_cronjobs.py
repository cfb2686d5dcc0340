"""The CronJobs that are rendered: what they run, what they may, and that no secret is among them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, and no py.typed
import pytest
import yaml
from typer.testing import CliRunner

from drkit.checks import rights
from drkit.checks.rights import Right
from drkit.cli.main import app
from drkit.config.load import load
from drkit.config.model import Config
from drkit.cronjobs.jobs import COMPONENTS
from drkit.cronjobs.pods import USER
from drkit.cronjobs.settings import SECRETS
from drkit.cronjobs.tree import render
from drkit.errors import ConfigurationError
from drkit.keys.places import places
from drkit.schedule.jobs import jobs, one
from tests.contract.api_rights import covers
from tests.unit.cronjobs_tree import COMMITTED, OVERLAYS, ROOT, config, objects, pod_of
from tests.unit.test_rights import PROXIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.cronjobs.tree import Tree

KUBERNETES = "1.34"
READING = {"get", "list", "watch"}
EVERYTHING_KNOWN = {
    "databases": [{"cnpg": "postgres/main-db"}, {"name": "billing", "dsn": {"env": "BILLING_DSN"}}],
    "schedule": {"drills": {"cron": "0 1 * * 6"}},
}


def _committed(overlay: str) -> dict[str, str]:
    files = [*(COMMITTED / "base").rglob("*"), *(COMMITTED / "overlays" / overlay).rglob("*")]
    return {str(file.relative_to(COMMITTED)): file.read_text(encoding="utf-8") for file in files if file.is_file()}


def _of(found: Mapping[str, str] | Tree, kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for _, each in objects(found) if each["kind"] == kind}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_tree_in_git_is_what_is_rendered(overlay: str) -> None:
    """Base and overlay are, file by file, the output for the configuration that lies beside them."""
    rendered = render(load(COMMITTED / f"{overlay}.drkit.yaml"), overlay, {}, {})
    assert _committed(overlay) == dict(rendered.files)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_knows_every_field(overlay: str) -> None:
    """Every object, patched, is valid by the schemas of the reference cluster's version, each field included."""
    found = [each for _, each in objects(_committed(overlay))]
    assert {"CronJob", "NetworkPolicy", "PersistentVolumeClaim", "Role", "ClusterRole"} <= {
        each["kind"] for each in found
    }
    for each in found:
        if not each["metadata"]["namespace"]:
            del each["metadata"]["namespace"]
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_the_reference_cluster_has_its_two_jobs() -> None:
    """Databases every six hours in their own namespace, everything at three on a server, and what backups need."""
    jobs = {each["metadata"]["name"]: each for _, each in objects(_committed("reference")) if each["kind"] == "CronJob"}
    assert {
        (name, each["metadata"]["namespace"], each["spec"]["schedule"], each["spec"]["timeZone"])
        for name, each in jobs.items()
    } == {
        ("drkit-databases", "postgres", "0 */6 * * *", "UTC"),
        ("drkit-everything", "drkit", "0 3 * * *", "UTC"),
        ("drkit-prune", "drkit", "30 4 * * *", "UTC"),
        ("drkit-verify", "drkit", "0 5 * * 1-6", "UTC"),
        ("drkit-verify-deep", "drkit", "0 5 * * 0", "UTC"),
    }
    for each in jobs.values():
        assert each["spec"]["concurrencyPolicy"] == "Forbid"
        assert each["spec"]["startingDeadlineSeconds"] > 0
        assert each["spec"]["suspend"] is False
    pod = pod_of(jobs["drkit-everything"])
    assert pod["nodeSelector"] == {"node-role.kubernetes.io/control-plane": "true"}
    assert {"NoSchedule"} <= {each["effect"] for each in pod["tolerations"]}
    assert "nodeSelector" not in pod_of(jobs["drkit-databases"])


def test_no_pod_has_more_of_its_node_than_it_needs() -> None:
    """The pods of all jobs keep to the restricted Pod Security Standard, and write to volumes of their own alone."""
    jobs = _of(render(config(**EVERYTHING_KNOWN), "x", {}, {}), "CronJob")
    assert set(jobs) == {f"drkit-{each}" for each in COMPONENTS}
    for job in jobs.values():
        pod = pod_of(job)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == USER
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["restartPolicy"] == "Never"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        kinds = [next(iter(set(each) - {"name"})) for each in pod["volumes"]]
        assert set(kinds) == {"configMap", "secret", "persistentVolumeClaim", "emptyDir"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {each["value"] for each in container["env"] if each["name"] == "TMPDIR"} == {"/tmp"}


def test_each_job_may_what_it_needs_and_no_more() -> None:
    """One namespace for databases, nothing for those by connection string, reading for all; only drills may hurt."""
    rendered = render(config(**EVERYTHING_KNOWN), "x", {}, {})
    rules: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    bound = set()
    for _, each in objects(rendered):
        if each["kind"] in {"Role", "ClusterRole"}:
            name, where = each["metadata"]["name"], each["metadata"]["namespace"]
            rules.setdefault(name, []).extend((each["kind"], where, rule) for rule in each["rules"])
        if each["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            bound |= {(each["roleRef"]["name"], subject["name"]) for subject in each["subjects"]}
    assert all(role == account for role, account in bound)
    assert {(kind, where) for kind, where, _ in rules["drkit-databases"]} == {("Role", "postgres")}
    for name in ("drkit-external-databases", "drkit-prune", "drkit-verify", "drkit-verify-deep"):
        assert name not in rules
        assert not _of(rendered, "ServiceAccount")[name]["automountServiceAccountToken"]
    for name in ("drkit-databases", "drkit-everything"):
        for _, where, rule in rules[name]:
            more = set(rule["verbs"]) - READING
            assert not more or (rule["resources"] == ["pods/exec"] and where == "postgres")
    hurting = {
        (resource, verb)
        for _, _, rule in rules["drkit-drills"]
        for resource in rule.get("resources", ())
        for verb in set(rule["verbs"]) - READING
    }
    assert hurting == {
        ("nodes", "patch"),
        ("pods", "delete"),
        ("pods/eviction", "create"),
        ("pods/exec", "create"),
        ("leases", "create"),
        ("leases", "patch"),
    }


def _granted(tree: Tree, name: str) -> tuple[Right, ...]:
    """What the roles of a job's name give."""
    found = [each for _, each in objects(tree) if each["metadata"]["name"] == name]
    for each in found:
        if each["kind"] == "ClusterRole":
            del each["metadata"]["namespace"]  # kustomize gives it none
    return rights.rights(found)


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("wanted", PROXIES, ids=str)
def test_no_job_acts_behind_the_api(component: str, wanted: Right) -> None:
    """No job's account runs a program, opens a port or asks a kubelet, but in the pods of the named databases."""
    granted = _granted(render(config(**EVERYTHING_KNOWN), "x", {}, {}), f"drkit-{component}")
    assert not covers(granted, wanted)
    in_databases = Right("create", "", "pods/exec", "postgres")
    assert covers(granted, in_databases) is (component in {"databases", "everything", "drills"})


def test_the_drill_job_may_what_drills_need() -> None:
    """Each right of rbac-drills.yaml is the drill job's, programs in pods where the named databases are."""
    granted = _granted(render(config(**EVERYTHING_KNOWN), "x", {}, {}), "drkit-drills")
    for each in rights.read(rights.DRILLS):
        wanted = replace(each, namespace="postgres") if each.resource == "pods/exec" else each
        assert covers(granted, wanted), each


def test_nobody_reaches_a_pod_and_it_reaches_what_it_must() -> None:
    """Nothing comes in; each job reaches DNS, the box, and of API, servers and databases what its sources need."""
    policies = _of(render(config(**EVERYTHING_KNOWN), "x", {}, {}), "NetworkPolicy")
    ports = {}
    for name, each in policies.items():
        assert each["spec"]["ingress"] == []
        assert set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        ports[name] = {port["port"] for rule in each["spec"]["egress"] for port in rule["ports"]}
    assert ports["drkit-databases"] == {53, 23, 443, 6443}
    assert ports["drkit-external-databases"] == {53, 23, 5432}
    assert ports["drkit-prune"] == ports["drkit-verify-deep"] == {53, 23}
    assert ports["drkit-everything"] == {53, 23, 443, 6443, 22, 5432}


def test_no_secret_is_rendered_and_no_place_of_one(tmp_path: Path) -> None:
    """What the configuration's files and variables hold, and where they are, is in no rendered file."""
    (tmp_path / "passphrase").write_text("very-secret")
    text = json.dumps(config(**EVERYTHING_KNOWN).model_dump(mode="json", exclude_unset=True))
    file = tmp_path / "drkit.yaml"
    file.write_text(text.replace("/root/keys/passphrase", "passphrase"))
    rendered = render(load(file), "x", {}, {})
    whole = "".join(rendered.files.values())
    for gone in ("very-secret", str(tmp_path), "/root/", "BILLING_DSN"):
        assert gone not in whole
    assert not _of(rendered, "Secret")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_s_configuration_is_one(overlay: str, tmp_path: Path) -> None:
    """Every drkit.yaml of a pod is accepted, and each file in it is a key of the Secret that is asked for."""
    rendered = render(load(COMMITTED / f"{overlay}.drkit.yaml"), overlay, {}, {})
    keys = {f"{each.name[6:]}-{each.namespace}": set(each.keys) for each in rendered.secrets}
    seen = 0
    for path, text in rendered.files.items():
        if not path.rpartition("/")[2].startswith("drkit"):
            continue
        (tmp_path / "drkit.yaml").write_text(text)
        found = load(tmp_path / "drkit.yaml")
        place = path.split("/")[2]
        named = {word.removeprefix(f"{SECRETS}/") for word in text.split() if word.startswith(SECRETS)}
        if place.startswith("prune"):
            named = {f"{each}.pub" if each == "signing.key" else each for each in named}
        assert named <= keys[place]
        asks = place.startswith(("databases", "everything", "drills")) and found.sealing != "together"
        assert (found.cluster.kubeconfig == "in-cluster") is asks
        assert all(vault.ssh.known_hosts and vault.ssh.key for vault in found.vaults.values())
        seen += 1
        [job] = {each.name for each in jobs(found, tmp_path / "drkit.yaml")}
        assert one(found, tmp_path / "drkit.yaml", job if not place.startswith("everything") else "backup") is not None
    assert seen == (5 if overlay == "reference" else 11)


def test_jobs_of_several_namespaces_have_repositories_of_their_own() -> None:
    """Retention takes each recovery point for the whole, so points with different databases are kept apart."""
    rendered = render(config(databases=[{"cnpg": "a/x"}, {"cnpg": "b/y"}, {"cnpg": "b/z"}]), "x", {}, {})
    urls = {
        path.split("/")[2]: yaml.safe_load(text)["vaults"]["databases"]["url"]
        for path, text in rendered.files.items()
        if path.endswith("/drkit.yaml") and "schedule" in yaml.safe_load(text)["vaults"]["databases"]
    }
    assert urls == {
        "databases-a": "ssh://u1@box.example:23/./d-a",
        "databases-b": "ssh://u1@box.example:23/./d-b",
    }


def test_times_limits_and_the_time_zone_are_those_of_the_schedule() -> None:
    """What `drkit schedule` would do at which time on whose clock is what Kubernetes does, and null is never."""
    schedule = {
        "time_zone": "Europe/Berlin",
        "limit": "2h",
        "prune": None,
        "verify": "5 6 * * *",
        "verify_deep": {"cron": "0 5 * * 0", "limit": "24h"},
    }
    rendered = render(config(schedule=schedule), "x", {}, {})
    found = _of(rendered, "CronJob")
    assert {
        name: (each["spec"]["schedule"], each["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] // 3600)
        for name, each in found.items()
    } == {
        "drkit-databases": ("0 */6 * * *", 2),
        "drkit-everything": ("0 3 * * *", 2),
        "drkit-verify": ("5 6 * * *", 2),
        "drkit-verify-deep": ("0 5 * * 0", 24),
    }
    assert {each["spec"]["timeZone"] for each in found.values()} == {"Europe/Berlin"}
    for name, each in found.items():
        arguments = pod_of(each)["containers"][0]["args"]
        assert arguments[:2] == ["schedule", "once"]
        text = next(text for path, text in rendered.files.items() if f"/{name[6:]}-" in path and "/drkit.yaml" in path)
        assert yaml.safe_load(text)["schedule"]["time_zone"] == "Europe/Berlin"


def test_each_pod_tells_those_who_are_told_of_its_job() -> None:
    """Messages and dead man's switches are in each pod's configuration as files, and their ports are open."""
    notify = {
        "urls": [{"env": "URL"}],
        "on": ["failure"],
        "ping": {"backup/databases": {"env": "A"}, "verify-deep": {"env": "B"}},
    }
    rendered = render(config(notify=notify, cronjobs={"ports": [8443]}), "x", {}, {})
    secrets = {each.name: set(each.keys) for each in rendered.secrets}
    assert secrets["drkit-databases"] >= {"notify-url-0", "notify-ping-backup_2f_databases"}
    assert secrets["drkit-verify-deep"] >= {"notify-url-0", "notify-ping-verify-deep"}
    assert not any(each.startswith("notify-ping") for each in secrets["drkit-prune"])
    assert yaml.safe_load(rendered.files["overlays/x/prune-drkit/drkit.yaml"])["notify"]["on"] == ["failure"]
    for each in _of(rendered, "NetworkPolicy").values():
        assert 8443 in {port["port"] for rule in each["spec"]["egress"] for port in rule["ports"]}


def test_who_seals_nothing_has_no_key_that_signs() -> None:
    """The pod that prunes has the public half alone."""
    keys = {each.name: set(each.keys) for each in render(config(), "x", {}, {}).secrets}
    assert "signing.key" not in keys["drkit-prune"]
    assert "signing.key.pub" in keys["drkit-prune"]
    assert "signing.key" in keys["drkit-verify"]


def test_only_the_pod_that_prunes_has_the_key_that_removes() -> None:
    """Where a box has two keys, each pod has one; vaults whose names begin alike have passphrases of their own."""
    ssh = {"key": "/root/.ssh/append", "prune_key": "/root/.ssh/full"}
    vaults = {
        name: {"url": f"ssh://u1@{name}.example:23/./x", "passphrase": {"file": f"/root/{name}"}, "ssh": ssh}
        for name in ("cluster", "databases", "far-a", "far-b")
    }
    vaults["cluster"]["schedule"] = "0 3 * * *"
    whole = config(vaults=vaults, cluster={"vaults": list(vaults)}, databases=[])
    rendered = render(whole, "x", {}, {})
    keys = {each.name: set(each.keys) for each in rendered.secrets}
    for name in vaults:
        assert {f"{name}-prune-key", f"{name}-passphrase"} <= keys["drkit-prune"]
        assert f"{name}-ssh-key" not in keys["drkit-prune"]
        assert f"{name}-prune-key" not in keys["drkit-everything"]
    pod = Config.model_validate(yaml.safe_load(rendered.files["overlays/x/prune-drkit/drkit.yaml"]))
    assert str(pod.vaults["far-b"].ssh.key).endswith("/far-b-prune-key")


def test_a_job_has_all_vaults_that_its_sources_go_to_and_no_other() -> None:
    """A second vault, and the volumes that are chosen, are in the configurations of the pods that write to it."""
    vault = {"passphrase": {"file": "/root/keys/passphrase"}, "ssh": {"key": "/root/.ssh/box"}}
    urls = {name: f"ssh://u1@{name}.example:23/./x" for name in ("cluster", "databases", "offsite", "far")}
    times = {"cluster": {"schedule": "0 3 * * *"}, "databases": {"schedule": "0 */6 * * *"}}
    whole = config(
        vaults={name: {"url": url, **vault, **times.get(name, {})} for name, url in urls.items()},
        cluster={"vaults": ["cluster", "far"]},
        databases=[
            {"cnpg": "a/x", "vaults": ["databases", "offsite"]},
            {"name": "billing", "dsn": {"env": "B"}, "vaults": ["offsite"]},
        ],
        volumes=[{"claim": "docfast/uploads", "vaults": ["far"]}],
    )
    found = {
        path.split("/")[2]: Config.model_validate(yaml.safe_load(text))
        for path, text in render(whole, "x", {}, {}).files.items()
        if path.endswith("/drkit.yaml")
    }
    assert {name: set(each.vaults) for name, each in found.items()} == {
        "databases-a": {"databases", "offsite"},
        "external-databases-drkit": {"databases", "offsite"},  # that one has the job's times
        **{f"{each}-drkit": set(urls) for each in ("everything", "prune", "verify", "verify-deep")},
    }
    assert found["everything-drkit"].volumes == whole.volumes
    assert found["everything-drkit"].cluster.vaults == ["cluster", "far"]
    assert [each.vaults for each in found["everything-drkit"].databases] == [["databases", "offsite"], ["offsite"]]
    assert found["databases-a"].volumes == []


def test_no_two_jobs_take_each_other_s_lock_for_a_dead_one_s() -> None:
    """Borg's host id is the same from run to run, and another one for each job, whose processes it can see."""
    jobs = _of(render(config(**EVERYTHING_KNOWN), "x", {}, {}), "CronJob").values()
    ids = [
        each["value"] for job in jobs for each in pod_of(job)["containers"][0]["env"] if each["name"] == "BORG_HOST_ID"
    ]
    assert len(set(ids)) == len(ids) == len(COMPONENTS)


def test_many_databases_are_shared_out_to_the_pods_of_one_job() -> None:
    """An Indexed Job has a pod for each share, with a configuration, a repository and records of its own."""
    names = [f"shop{number:03}" for number in range(100)]
    databases = [{"cnpg": "postgres/main-db", "databases": names}]
    rendered = render(config(databases=databases, cronjobs={"shares": 8}), "x", {}, {})
    job = _of(rendered, "CronJob")["drkit-databases"]["spec"]["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 9, 6)
    assert "backoffLimit" not in job
    [container] = job["template"]["spec"]["containers"]
    assert container["args"][-1] == "/etc/drkit/config/drkit-$(JOB_COMPLETION_INDEX).yaml"
    order = [each["name"] for each in container["env"]]
    assert order.index("JOB_COMPLETION_INDEX") < order.index("XDG_STATE_HOME")
    found = [yaml.safe_load(rendered.files[f"overlays/x/databases-postgres/drkit-{index}.yaml"]) for index in range(8)]
    dealt = [name for each in found for name in each["databases"][0]["databases"]]
    assert sorted(dealt) == names
    assert {len(each["databases"][0]["databases"]) for each in found} == {12, 13}
    assert len({each["vaults"]["databases"]["url"] for each in found}) == 8
    assert {each["sealing"] for each in found} == {"later"}
    last = yaml.safe_load(rendered.files["overlays/x/databases-postgres/drkit-8.yaml"])
    assert last["sealing"] == "together"
    urls = [vault["url"] for name, vault in last["vaults"].items() if name != "databases"]
    assert urls == [each["vaults"]["databases"]["url"] for each in found]


def test_who_reads_the_configuration_knows_the_shares(tmp_path: Path) -> None:
    """Each repository of the pods is a vault, opened like the one it is a share of."""
    databases = [{"cnpg": "postgres/main-db", "databases": ["a", "b", "c"]}]
    text = json.dumps(config(databases=databases, cronjobs={"shares": 8}).model_dump(mode="json", exclude_unset=True))
    (tmp_path / "drkit.yaml").write_text(text)
    found = load(tmp_path / "drkit.yaml")
    assert set(found.vaults) == {"cluster", "databases", "databases-0", "databases-1", "databases-2"}
    assert found.shares == {"databases-0", "databases-1", "databases-2"}
    assert found.vaults["databases-2"].url == "ssh://u1@box.example:23/./d-2"
    assert {each.name for each in jobs(found, tmp_path)} >= {"backup/cluster", "backup/databases", "prune"}
    assert not [each for each in places(found) if "databases-" in each.name]


def test_no_pod_is_without_databases() -> None:
    """There are never more shares than databases: a pod without one would fail."""
    rendered = render(config(cronjobs={"shares": 8}), "x", {}, {})
    assert "completions" not in _of(rendered, "CronJob")["drkit-databases"]["spec"]["jobTemplate"]["spec"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("drkit", {"newName": "drkit", "newTag": "latest"}),
        ("host:5000/a/drkit", {"newName": "host:5000/a/drkit", "newTag": "latest"}),
        ("host:5000/a/drkit:1.2", {"newName": "host:5000/a/drkit", "newTag": "1.2"}),
        ("a/drkit:1.2@sha256:0f", {"newName": "a/drkit", "digest": "sha256:0f"}),
    ],
)
def test_an_image_is_named_as_kustomize_does(image: str, expected: dict[str, str]) -> None:
    """Registry, tag and digest are told apart, a port of the registry included."""
    rendered = render(config(cronjobs={"image": image}), "x", {}, {})
    found = yaml.safe_load(rendered.files["overlays/x/databases-postgres/kustomization.yaml"])
    assert found["images"] == [{"name": "drkit", **expected}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vaults": {"databases": {"url": "/srv/vault", "passphrase": {"env": "P"}, "schedule": "0 3 * * *"}}}, "url"),
        ({"vaults": {"databases": {"url": "ssh://u@b:23/./d", "passphrase": {"env": "P"}}}}, "no job has a time"),
    ],
)
def test_what_no_pod_could_do_is_refused(change: dict[str, Any], said: str) -> None:
    """A vault in a directory, and a configuration without a time, are errors that say what to change."""
    with pytest.raises(ConfigurationError, match=said):
        render(config(**change), "x", {}, {})


def test_the_command_writes_a_tree_that_keeps_its_shares(tmp_path: Path) -> None:
    """A database that comes later moves no other one to another repository; sizes come from the listed points."""
    names = [f"shop{number}" for number in range(6)]
    points = tmp_path / "points.json"
    listed = [{"name": f"database/postgres/main-db/{each}", "size": 10} for each in names]
    points.write_text(json.dumps({"points": [{"sources": listed}]}))

    def rendered(databases: list[str]) -> dict[str, int]:
        cnpg = [{"cnpg": "postgres/main-db", "databases": databases}]
        text = config(databases=cnpg, cronjobs={"shares": 3}).model_dump(mode="json", exclude_unset=True)
        (tmp_path / "drkit.yaml").write_text(json.dumps(text))
        argv = ["cronjobs", "render", "--config", str(tmp_path / "drkit.yaml"), "--to", str(tmp_path / "out")]
        done = CliRunner().invoke(app, [*argv, "--overlay", "mine", "--points", str(points), "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["secrets"][0]["name"] == "drkit-databases"
        place = tmp_path / "out/overlays/mine/databases-postgres"
        return {
            name: index
            for index in range(3)
            for name in yaml.safe_load((place / f"drkit-{index}.yaml").read_text())["databases"][0]["databases"]
        }

    first = rendered(names)
    second = rendered([*names, "another"])
    assert {name: second[name] for name in names} == first
    third = rendered(names[1:])
    assert third == {name: first[name] for name in names[1:]}


def test_the_command_shows_the_tree_where_no_place_is_named(tmp_path: Path) -> None:
    """Without --to nothing is written, and the files are shown."""
    argv = ["cronjobs", "render", "--config", str(ROOT / "cronjobs/reference.drkit.yaml"), "--overlay", "reference"]
    done = CliRunner().invoke(app, argv)
    assert done.exit_code == 0
    assert "# --- overlays/reference/kustomization.yaml" in done.stdout
    assert not list(tmp_path.iterdir())
