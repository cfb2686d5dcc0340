"""The sample workload: its objects, its health, and what the stand-in for an ingress controller makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

import pytest
from ruamel.yaml import YAML

from drkit.errors import PreflightFailed
from drkit.lab.recipes import POSTGRES
from drkit.lab.spec import LabSpec
from drkit.lab.topology import Topology, topology
from drkit.lab.workload import health, images, manifests, real
from drkit.lab.workload.ingress import haproxy

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
NAMES = {
    POSTGRES: "lab/postgresql:17-a",
    images.CNPG: "lab/cnpg-stand-in:b",
    images.INGRESS: "lab/ingress-stand-in:c",
    images.APP: "lab/docfast:d",
}


def lab(servers: int = 1, agents: int = 2) -> Topology:
    """A lab of that size."""
    return topology(LabSpec("x", servers, agents), IPv4Network("10.211.7.0/24"))


def loaded(text: str) -> list[dict[str, Any]]:
    """The objects in a manifest."""
    return [each for each in YAML(typ="safe", pure=True).load_all(text) if each]


def test_every_placeholder_is_filled() -> None:
    """The manifests are valid YAML, and no name between at signs is left in them."""
    texts = [manifests.definitions(), manifests.operator(NAMES), manifests.objects(lab(), NAMES, "token")]
    for text in texts:
        assert loaded(text)
        assert not [line for line in text.splitlines() if "@" in line.replace("@main-db-pooler", "")]


def test_the_workload_is_the_reference_clusters() -> None:
    """Two instances, two poolers in transaction mode, two pods of the application, one of its staging."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in loaded(manifests.objects(lab(), NAMES, "t"))}
    assert found["Cluster", "main-db"]["spec"]["instances"] == 2
    assert found["Pooler", "main-db-pooler"]["spec"]["pgbouncer"]["poolMode"] == "transaction"
    assert found["Deployment", "docfast"]["spec"]["replicas"] == 2
    assert found["Deployment", "docfast-staging"]["spec"]["replicas"] == 1
    tolerations = found["Deployment", "docfast"]["spec"]["template"]["spec"]["tolerations"]
    assert {each["tolerationSeconds"] for each in tolerations} == {10}


def test_the_password_is_the_labs_own_and_stays() -> None:
    """The application's secret and the database's agree at every run, and differ from lab to lab."""
    assert manifests.password("a") == manifests.password("a") != manifests.password("b")


@pytest.mark.parametrize(("servers", "agents", "workers"), [(1, 2, 2), (3, 0, 3), (1, 1, 2), (1, 0, 1)])
def test_pods_run_on_the_agents_where_there_are_enough(servers: int, agents: int, workers: int) -> None:
    """With fewer than two agents the servers work too; one node alone is not enough for two of everything."""
    assert len(manifests.workers(lab(servers, agents))) == workers
    assert manifests.is_enough(lab(servers, agents)) is (workers > 1)


def test_health_names_what_is_not_there() -> None:
    """Nothing at all is not healthy; each thing that is missing is named."""
    said = health.problems([], NOW)
    assert "there is no operator for PostgreSQL" in said
    assert "Cluster postgres/main-db is not there" in said


def test_a_changed_deployment_is_not_healthy_before_it_was_seen() -> None:
    """The numbers of the generation before count for nothing."""
    deployment = {
        "kind": "Deployment",
        "metadata": {"namespace": "docfast", "name": "docfast", "generation": 2},
        "spec": {"replicas": 2},
        "status": {"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 1},
    }
    assert any("docfast/docfast was changed" in line for line in health.problems([deployment], NOW))
    deployment["status"] = {"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 2}
    assert not any("docfast/docfast " in line for line in health.problems([deployment], NOW))


def test_an_ingress_on_no_node_is_not_healthy() -> None:
    """A daemon set that has not been given to any node yet has all pods that it wants, and serves nobody."""
    ingress = {
        "kind": "DaemonSet",
        "metadata": {"namespace": "kube-system", "name": "ingress-stand-in", "generation": 1},
        "status": {"observedGeneration": 1, "desiredNumberScheduled": 0},
    }
    assert "the ingress was given to no node yet" in health.problems([ingress], NOW)


def test_the_longest_path_is_tried_first() -> None:
    """Requests go to the service of the most exact path; what has no service is left out."""
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    paths = [
        {"path": "/", "pathType": "Prefix", "backend": backend},
        {"path": "/api", "pathType": "Exact", "backend": {"service": {"name": "web", "port": {"number": 81}}}},
        {"path": "/gone", "backend": {"service": {"name": "gone", "port": {"number": 80}}}},
    ]
    ingress = {
        "metadata": {"namespace": "n"},
        "spec": {"rules": [{"host": "A.test", "http": {"paths": paths}}], "tls": [{"secretName": "c"}]},
    }
    service = {"spec": {"clusterIP": "10.43.0.9", "ports": [{"name": "http", "port": 80}, {"port": 81}]}}
    found = haproxy.routes([ingress], {("n", "web"): service})
    assert [route.address for route in found] == ["10.43.0.9:81", "10.43.0.9:80"]
    assert haproxy.certificates([ingress]) == [("n", "c")]
    text = haproxy.configuration(found, tls=False)
    assert "use_backend route-0 if { req.hdr(host),field(1,:),lower -m str a.test } { path /api }" in text
    assert ":443" not in text
    assert "bind :443 ssl crt" in haproxy.configuration(found, tls=True)


def test_half_of_the_real_operator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest without an image, or the other way round, is a mistake and no wish for the stand-in."""
    monkeypatch.setenv(real.MANIFEST_VARIABLE, "/x.yaml")
    monkeypatch.delenv(real.IMAGE_VARIABLE, raising=False)
    with pytest.raises(PreflightFailed, match="one alone"):
        real.given()


RELEASE = """\
apiVersion: v1
kind: Namespace
metadata: {name: cnpg-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager, namespace: cnpg-system}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: cloudnative-pg}}
  template:
    metadata: {labels: {app.kubernetes.io/name: cloudnative-pg}}
    spec:
      containers:
      - name: manager
        image: ghcr.io/cloudnative-pg/cloudnative-pg:1.25.1
---
kind: ConfigMap
data: {note: "kind: Deployment"}
"""


def test_the_real_operator_is_run_as_on_the_reference_cluster() -> None:
    """Two replicas on two nodes with the image that the nodes have; the release's other objects stay as they are."""
    text = real.as_on_the_reference_cluster(RELEASE, "ghcr.io/cloudnative-pg/cloudnative-pg:1.25.1")
    namespace, deployment, config = loaded(text)
    assert [namespace, config] == [loaded(RELEASE)[0], loaded(RELEASE)[2]]
    assert deployment["spec"]["replicas"] == 2
    pods = deployment["spec"]["template"]["spec"]
    assert pods["containers"][0]["imagePullPolicy"] == "Never"
    assert pods["topologySpreadConstraints"][0]["labelSelector"] == deployment["spec"]["selector"]
    assert {each["tolerationSeconds"] for each in pods["tolerations"]} == {10}


@pytest.mark.parametrize(
    ("manifest", "image"),
    [
        (RELEASE, "ghcr.io/cloudnative-pg/cloudnative-pg:1.25"),
        (RELEASE, "cloudnative-pg:1.25.1"),
        ("kind: Namespace\n", "cloudnative-pg:1.25.1"),
        (f"{RELEASE}---\n{RELEASE}", "ghcr.io/cloudnative-pg/cloudnative-pg:1.25.1"),
    ],
    ids=["another release", "another registry", "no operator", "two"],
)
def test_a_manifest_of_another_operator_is_refused(manifest: str, image: str) -> None:
    """What the manifest runs is the very image that was named: part of its name is not enough."""
    with pytest.raises(PreflightFailed):
        real.as_on_the_reference_cluster(manifest, image)


def test_a_cluster_has_one_operator() -> None:
    """Neither of the two operators is deployed beside the other."""
    given = real.RealOperator("", "image")
    real.check_the_same([], given)
    real.check_the_same(["cnpg-controller-manager"], given)
    real.check_the_same([real.STAND_IN], None)
    for deployments, wanted in (([real.STAND_IN], given), (["cnpg-controller-manager"], None)):
        with pytest.raises(PreflightFailed):
            real.check_the_same(deployments, wanted)
