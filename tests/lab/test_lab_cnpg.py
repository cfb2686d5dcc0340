"""What drkit relies on in CloudNativePG: one suite for the lab's stand-in and for the real operator.

It runs against the real one where ``DRKIT_LAB_CNPG_MANIFEST`` and ``DRKIT_LAB_CNPG_IMAGE`` name it, as the lab does.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab.workload import real
from tests.lab.clusters import CLUSTERS, apply, ask, follows, get, is_healthy, items, psql, state
from tests.lab.labs import COLD_SECONDS, kubectl
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

Lab = dict[str, Any]

NAMESPACE = "test-cnpg"
KEPT = "kept-password"
SELECTOR = "cnpg.io/cluster=pair,cnpg.io/podRole=instance"


def cluster(image: str) -> dict[str, Any]:
    """A cluster of two instances."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "pair", "namespace": NAMESPACE},
        "spec": {
            "instances": 2,
            "imageName": image,
            "imagePullPolicy": "Never",
            "enableSuperuserAccess": True,
            "storage": {"size": "1Gi", "storageClass": "local-path"},
            "bootstrap": {
                "initdb": {
                    "database": "shop",
                    "owner": "keeper",
                    "secret": {"name": "pair-app"},
                    "postInitSQL": ["create role auditor nologin"],
                }
            },
            "affinity": {"podAntiAffinityType": "required"},
        },
    }


def pooler(image: str) -> dict[str, Any]:
    """Its PgBouncer."""
    bouncer = {"name": "pgbouncer", "image": image, "imagePullPolicy": "Never"}
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Pooler",
        "metadata": {"name": "pair-pooler", "namespace": NAMESPACE},
        "spec": {
            "cluster": {"name": "pair"},
            "instances": 1,
            "type": "rw",
            "pgbouncer": {"poolMode": "transaction"},
            "template": {"metadata": {"labels": {"app": "pair-pooler"}}, "spec": {"containers": [bouncer]}},
        },
    }


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/basic-auth",
    "metadata": {"name": "pair-app", "namespace": NAMESPACE},
    "stringData": {"username": "keeper", "password": KEPT},
}


@pytest.fixture(scope="module")
def image(workload: Lab) -> str:
    """The image of PostgreSQL that the lab's nodes have."""
    found = get(workload, CLUSTERS, "main-db", "postgres")
    assert found is not None
    return str(found["spec"]["imageName"])


@pytest.fixture(scope="module")
def pair(workload: Lab, image: str) -> Iterator[Lab]:
    """The lab, with a healthy cluster of two instances and a pooler in a namespace that is gone after the module."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    apply(workload, namespace, SECRET, cluster(image), pooler(image))
    until(lambda: is_healthy(workload, "pair", NAMESPACE), 180, 0.5)
    yield workload
    kubectl(workload, "delete", "namespace", NAMESPACE, "--wait=true")


def login(lab: Lab, host: str, statement: str, database: str = "shop", password: str = KEPT) -> str:
    """What the owner is answered by a service."""
    address = f"postgresql://keeper:{password}@{host}:5432/{database}?connect_timeout=5"
    pod = items(lab, "pods", NAMESPACE, SELECTOR)[0]["metadata"]["name"]
    inside = ["psql", "-XqtA", address, "-c", statement]
    return kubectl(lab, "exec", "-n", NAMESPACE, pod, "-c", "postgres", "--", *inside).out.strip()


def test_instances_are_named_and_labelled(pair: Lab) -> None:
    """Pods and volume claims are named after cluster and number, and labels say which one is the primary."""
    pods = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in items(pair, "pods", NAMESPACE, SELECTOR)}
    assert set(pods) == {"pair-1", "pair-2"}
    assert all(labels["cnpg.io/instanceName"] == name for name, labels in pods.items())
    assert sorted(labels["cnpg.io/instanceRole"] for labels in pods.values()) == ["primary", "replica"]
    assert all(labels["role"] == labels["cnpg.io/instanceRole"] for labels in pods.values())
    claims = items(pair, "persistentvolumeclaims", NAMESPACE, "cnpg.io/cluster=pair")
    assert {claim["metadata"]["name"] for claim in claims} == {"pair-1", "pair-2"}


def test_the_status_says_who_is_primary(pair: Lab) -> None:
    """``currentPrimary`` and ``targetPrimary`` name the pod with the label, and the phase says healthy."""
    found = state(pair, "pair", NAMESPACE)
    labelled = items(pair, "pods", NAMESPACE, "cnpg.io/cluster=pair,cnpg.io/instanceRole=primary")
    names = [pod["metadata"]["name"] for pod in labelled]
    assert names == [found["currentPrimary"]] == [found["targetPrimary"]]
    assert (found["instances"], found["readyInstances"]) == (2, 2)


def test_a_dump_can_be_made_in_the_primarys_container(pair: Lab) -> None:
    """In the container ``postgres`` the superuser is let in over the socket, and pg_dump is on the path."""
    primary = state(pair, "pair", NAMESPACE)["currentPrimary"]
    assert psql(pair, primary, NAMESPACE, "postgres", "select current_user, pg_is_in_recovery()") == "postgres|f"
    dump = ["pg_dump", "-h", "/controller/run", "-U", "postgres", "-d", "shop"]
    done = kubectl(pair, "exec", "-n", NAMESPACE, primary, "-c", "postgres", "--", *dump)
    assert "PostgreSQL database dump complete" in done.out, done.err


def test_initdb_makes_database_owner_and_more(pair: Lab) -> None:
    """The database belongs to the owner, and ``postInitSQL`` was run."""
    primary = state(pair, "pair", NAMESPACE)["currentPrimary"]
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'shop'"
    assert psql(pair, primary, NAMESPACE, "postgres", owner) == "keeper"
    assert psql(pair, primary, NAMESPACE, "postgres", "select 1 from pg_roles where rolname = 'auditor'") == "1"


def test_services_lead_to_the_right_instances(pair: Lab) -> None:
    """``-rw`` is the primary, ``-ro`` a replica, ``-r`` any; the owner's password is the one of the kept secret."""
    assert login(pair, "pair-rw", "select pg_is_in_recovery()") == "f"
    assert login(pair, "pair-ro", "select pg_is_in_recovery()") == "t"
    assert login(pair, "pair-r", "select current_user") == "keeper"
    assert login(pair, "pair-rw", "select 1", password="wrong") == ""


def test_the_pooler_lets_the_owner_in(pair: Lab) -> None:
    """Through PgBouncer the owner reaches the primary with the same password."""
    until(lambda: login(pair, "pair-pooler", "select pg_is_in_recovery()") == "f", 60, 0.5)


def test_a_secret_that_was_there_before_is_kept(pair: Lab) -> None:
    """A pre-created application secret stays as it is and belongs to nobody; the superuser's is made."""
    kept = get(pair, "secret", "pair-app", NAMESPACE)
    assert kept is not None
    assert "ownerReferences" not in kept["metadata"]
    assert base64.b64decode(kept["data"]["password"]).decode() == KEPT
    made = get(pair, "secret", "pair-superuser", NAMESPACE)
    assert made is not None
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Cluster"


def test_a_deleted_replica_comes_back_on_its_volume(pair: Lab) -> None:
    """A pod that was deleted is made again under its name, on the same claim, with its data."""
    primary = state(pair, "pair", NAMESPACE)["currentPrimary"]
    replica = ({"pair-1", "pair-2"} - {primary}).pop()
    claim, pod = get(pair, "pvc", replica, NAMESPACE), get(pair, "pod", replica, NAMESPACE)
    assert claim is not None
    assert pod is not None
    psql(pair, primary, NAMESPACE, "shop", "create table if not exists before_deletion ()")
    kubectl(pair, "delete", "pod", "-n", NAMESPACE, replica)

    def returned() -> bool:
        found = get(pair, "pod", replica, NAMESPACE)
        return found is not None and found["metadata"]["uid"] != pod["metadata"]["uid"]

    until(returned, 60, 0.5)
    until(lambda: is_healthy(pair, "pair", NAMESPACE), 90, 0.5)
    again = get(pair, "pvc", replica, NAMESPACE)
    assert again is not None
    assert again["metadata"]["uid"] == claim["metadata"]["uid"]
    assert psql(pair, replica, NAMESPACE, "shop", "select to_regclass('before_deletion')") == "before_deletion"


def test_a_deleted_primary_is_replaced_by_its_replica(pair: Lab) -> None:
    """The replica is promoted, labels and status and ``-rw`` follow, and the old primary comes back as a replica."""
    until(lambda: follows(pair, "pair", NAMESPACE), 60, 0.5)
    before = state(pair, "pair", NAMESPACE)["currentPrimary"]
    kubectl(pair, "delete", "pod", "-n", NAMESPACE, before, "--wait=false")
    until(lambda: state(pair, "pair", NAMESPACE).get("currentPrimary") not in {None, before}, 90, 0.5)
    until(lambda: is_healthy(pair, "pair", NAMESPACE), 120, 0.5)
    assert ask(pair, before, NAMESPACE, "postgres", "select pg_is_in_recovery()").out.strip() == "t"
    until(lambda: login(pair, "pair-rw", "select pg_is_in_recovery()") == "f", 30, 0.5)
    until(lambda: follows(pair, "pair", NAMESPACE), 60, 0.5)


def test_a_cluster_goes_with_its_data_and_can_be_made_again(pair: Lab, image: str) -> None:
    """With the cluster go pods, volumes and generated secrets; made again it is empty, with the kept password."""
    kubectl(pair, "delete", CLUSTERS, "-n", NAMESPACE, "pair")
    until(lambda: not items(pair, "pods", NAMESPACE, SELECTOR), 120, 0.5)
    until(lambda: not items(pair, "pvc", NAMESPACE, "cnpg.io/cluster=pair"), 60, 0.5)
    assert get(pair, "secret", "pair-superuser", NAMESPACE) is None
    apply(pair, cluster(image))
    until(lambda: is_healthy(pair, "pair", NAMESPACE), 180, 0.5)
    assert login(pair, "pair-rw", "select count(*) from pg_tables where schemaname = 'public'") == "0"


def test_a_cluster_whose_volumes_are_gone_gets_no_empty_ones(pair: Lab, image: str) -> None:
    """A Cluster whose status knows instances that have no volumes is not set up: empty, it would pass for whole."""
    lost, fresh = ({**cluster(image), "metadata": {"name": each, "namespace": NAMESPACE}} for each in ("lost", "fresh"))
    for each in (lost, fresh):
        each["spec"] = {**each["spec"], "instances": 1, "bootstrap": {"initdb": {"database": "shop"}}}
    apply(pair, lost)
    until(lambda: is_healthy(pair, "lost", NAMESPACE, 1), 180, 0.5)
    before = {each["metadata"]["name"]: each["spec"]["replicas"] for each in items(pair, "deployments", "cnpg-system")}
    kubectl(pair, "scale", "deployment", "-n", "cnpg-system", "--replicas=0", *before)
    try:
        until(lambda: not items(pair, "pods", "cnpg-system"), 90, 0.5)
        kubectl(pair, "delete", "pvc,pods", "-n", NAMESPACE, "-l", "cnpg.io/cluster=lost", "--wait=true")
    finally:
        for name, replicas in before.items():
            kubectl(pair, "scale", "deployment", "-n", "cnpg-system", f"--replicas={replicas}", name)
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [fresh]})
    until(lambda: kubectl(pair, "apply", "--server-side", "-f", "-", stdin=listed).status == 0, 90, 0.5)
    until(lambda: is_healthy(pair, "fresh", NAMESPACE, 1), 180, 0.5)
    assert not items(pair, "pvc", NAMESPACE, "cnpg.io/cluster=lost")
    assert not items(pair, "pods", NAMESPACE, "cnpg.io/cluster=lost")
    kubectl(pair, "delete", CLUSTERS, "-n", NAMESPACE, "lost", "fresh")


@pytest.mark.skipif(real.given() is not None, reason="the real operator is given")
def test_the_stand_in_says_that_it_is_one(workload: Lab) -> None:
    """The Deployment's name and the first line of the log say that this is not the real operator."""
    deployments = items(workload, "deployments", "cnpg-system")
    assert [each["metadata"]["name"] for each in deployments] == ["cnpg-stand-in-controller-manager"]
    pods = items(workload, "pods", "cnpg-system")
    log = kubectl(workload, "logs", "-n", "cnpg-system", pods[0]["metadata"]["name"]).out
    assert "drkit's stand-in for the CloudNativePG operator: not the real one" in log
