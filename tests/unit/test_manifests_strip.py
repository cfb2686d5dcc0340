"""What of an object is exported, and which objects a restore applies."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.kube import Object, Resource
from drkit.manifests.skip import reason
from drkit.manifests.strip import strip

if TYPE_CHECKING:
    from collections.abc import Mapping


def _object(api_version: str, kind: str, metadata: Mapping[str, Any] | None = None, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", **(metadata or {})}, **rest}


def _reason(group: str, plural: str, obj: Object, *verbs: str) -> str:
    kind = Resource(group, "v1", plural, "Kind", namespaced=True, verbs=frozenset(verbs or ("list", "create")))
    return reason(obj, kind)


def test_what_the_cluster_adds_is_left_out() -> None:
    """Identity, versions, times, managers, owners and status are of the old cluster; the rest is its owner's wish."""
    wished = _object("apps/v1", "Deployment", {"labels": {"a": "b"}, "finalizers": ["x"]}, spec={"replicas": 3})
    seen = copy.deepcopy(wished)
    seen["status"] = {"replicas": 3}
    seen["metadata"] |= {
        "uid": "u",
        "resourceVersion": "1",
        "generation": 7,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
        "selfLink": "/x",
        "ownerReferences": [{"kind": "Gone", "name": "x", "uid": "u"}],
        "annotations": {"deployment.kubernetes.io/revision": "4"},
    }
    before = copy.deepcopy(seen)
    assert strip(seen) == wished
    assert seen == before


def test_annotations_of_the_owner_stay() -> None:
    """Only the annotations that controllers keep are left out."""
    annotations = {"deployment.kubernetes.io/revision": "4", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    stripped = strip(_object("apps/v1", "Deployment", {"annotations": annotations}))
    assert stripped["metadata"]["annotations"] == {"kubectl.kubernetes.io/last-applied-configuration": "{}"}


def _service(metadata: Mapping[str, Any] | None = None, **spec: Any) -> Object:
    ports = [
        {"port": 80, "protocol": "TCP", "nodePort": 30080},
        {"port": 53, "protocol": "UDP", "nodePort": 30053},
        {"port": 443},
    ]
    return _object("v1", "Service", metadata, spec={"ports": ports, "clusterIP": "10.43.0.9", **spec})


def _node_ports(obj: Object) -> list[Any]:
    return [port.get("nodePort") for port in strip(obj)["spec"]["ports"]]


def test_addresses_of_services_are_the_clusters() -> None:
    """A service gets new addresses, unless it has none on purpose."""
    assert "clusterIP" not in strip(_service(clusterIPs=["10.43.0.9"]))["spec"]
    assert "clusterIPs" not in strip(_service(clusterIPs=["10.43.0.9"]))["spec"]
    headless = strip(_service(clusterIP="None", clusterIPs=["None"]))["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])


def test_node_ports_that_were_asked_for_stay() -> None:
    """A node port that the cluster chose is left out; one that its managers or what was applied name stays."""
    assert _node_ports(_service()) == [None, None, None]
    fields: dict[str, Any] = {
        "f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:nodePort": {}, "f:port": {}}}}
    }
    assert _node_ports(_service({"managedFields": [{"fieldsV1": fields}]})) == [30080, None, None]
    applied = json.dumps({"spec": {"ports": [{"port": 53, "protocol": "UDP", "nodePort": 30053}, {"port": 80}]}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    assert _node_ports(_service({"annotations": annotations})) == [None, 30053, None]


def test_the_health_checks_port_too() -> None:
    """The port of health checks is treated like the others."""
    assert "healthCheckNodePort" not in strip(_service(healthCheckNodePort=31000))["spec"]
    managed: dict[str, Any] = {"managedFields": [{"fieldsV1": {"f:spec": {"f:healthCheckNodePort": {}}}}]}
    assert strip(_service(managed, healthCheckNodePort=31000))["spec"]["healthCheckNodePort"] == 31000


def test_claims_are_bound_anew() -> None:
    """A claim names no volume, and a volume only the claim's name."""
    claim = _object(
        "v1",
        "PersistentVolumeClaim",
        {
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/selected-node": "w1",
                "volume.kubernetes.io/storage-provisioner": "rancher.io/local-path",
                "volume.beta.kubernetes.io/storage-provisioner": "rancher.io/local-path",
            }
        },
        spec={"volumeName": "pvc-1", "storageClassName": "local-path"},
    )
    assert strip(claim) == _object("v1", "PersistentVolumeClaim", spec={"storageClassName": "local-path"})
    reference = {"namespace": "b", "name": "c", "uid": "u", "resourceVersion": "1"}
    volume = strip(_object("v1", "PersistentVolume", spec={"claimRef": reference}))
    assert volume["spec"]["claimRef"] == {"namespace": "b", "name": "c"}


def test_jobs_select_their_pods_anew() -> None:
    """The controller's uid goes with the selector that is made of it, unless somebody chose the selector."""
    labels = {"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "app": "x"}
    spec = {"selector": {"matchLabels": {"controller-uid": "u"}}, "template": {"metadata": {"labels": labels}}}
    stripped = strip(_object("batch/v1", "Job", {"labels": labels}, spec=spec))
    assert stripped["spec"] == {"template": {"metadata": {"labels": {"app": "x"}}}}
    assert stripped["metadata"]["labels"] == {"app": "x"}
    chosen = {**spec, "manualSelector": True}
    assert strip(_object("batch/v1", "Job", spec=chosen))["spec"] == chosen


def test_pods_find_their_node_anew() -> None:
    """A pod of nobody's is not bound to a node that may be gone."""
    assert strip(_object("v1", "Pod", spec={"nodeName": "w1", "containers": []}))["spec"] == {"containers": []}


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(
    st.sampled_from(["Service", "PersistentVolumeClaim", "PersistentVolume", "Pod", "Job", "Secret", "ConfigMap"]),
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": st.one_of(
                _json,
                st.fixed_dictionaries(
                    {"name": st.text(max_size=3)},
                    optional={
                        "labels": _json,
                        "annotations": _json,
                        "ownerReferences": _json,
                        "managedFields": _json,
                    },
                ),
            ),
            "spec": st.one_of(
                _json,
                st.fixed_dictionaries({}, optional={"ports": _json, "claimRef": _json, "template": _json}),
            ),
            "status": st.one_of(_json, st.fixed_dictionaries({"conditions": _json})),
            "type": _json,
        },
    ),
)
def test_no_shape_is_too_odd(kind: str, rest: dict[str, Any]) -> None:
    """Whatever a server calls an object is stripped and judged without an error; stripping twice changes nothing."""
    api_version = "batch/v1" if kind == "Job" else "v1"
    obj = {"apiVersion": api_version, "kind": kind, **rest}
    once = strip(obj)
    assert strip(once) == once
    plural = f"{kind.lower()}s"
    assert isinstance(_reason("batch" if kind == "Job" else "", plural, obj), str)


@pytest.mark.parametrize(
    ("group", "plural"),
    [
        ("", "events"),
        ("events.k8s.io", "events"),
        ("", "nodes"),
        ("coordination.k8s.io", "leases"),
        ("storage.k8s.io", "csinodes"),
        ("storage.k8s.io", "volumeattachments"),
        ("k3s.cattle.io", "addons"),
    ],
)
def test_what_the_cluster_keeps_by_itself_is_not_applied(group: str, plural: str) -> None:
    """Kinds that belong to this cluster are in the raw form alone."""
    assert _reason(group, plural, _object("v1", "Kind"))
    assert not _reason("example.com", plural, _object("example.com/v1", "Kind"))


def _owned(*, controller: bool) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": "ReplicaSet", "name": "x", "uid": "u", "controller": controller}]}


@pytest.mark.parametrize(
    ("group", "plural", "skipped", "kept"),
    [
        ("", "pods", _object("v1", "Pod", _owned(controller=True)), _object("v1", "Pod", _owned(controller=False))),
        (
            "",
            "pods",
            _object("v1", "Pod", status={"phase": "Succeeded"}),
            _object("v1", "Pod", status={"phase": "Running"}),
        ),
        (
            "",
            "secrets",
            _object("v1", "Secret", type="kubernetes.io/service-account-token"),
            _object("v1", "Secret", _owned(controller=True), type="Opaque"),
        ),
        (
            "",
            "secrets",
            _object("v1", "Secret", {"name": "w1.node-password.k3s", "namespace": "kube-system"}),
            _object("v1", "Secret", {"name": "w1.node-password.k3s", "namespace": "mine"}),
        ),
        ("", "configmaps", _object("v1", "ConfigMap", {"name": "kube-root-ca.crt"}), _object("v1", "ConfigMap")),
        (
            "",
            "configmaps",
            _object("v1", "ConfigMap", {"name": "drkit-restore", "namespace": "kube-system"}),
            _object("v1", "ConfigMap", {"name": "drkit-restore"}),
        ),
        (
            "",
            "endpoints",
            _object("v1", "Endpoints", {"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}}),
            _object("v1", "Endpoints", subsets=[{"addresses": [{"ip": "192.0.2.7"}]}]),
        ),
        (
            "discovery.k8s.io",
            "endpointslices",
            _object("v1", "EndpointSlice", _owned(controller=True)),
            _object("v1", "EndpointSlice", {"labels": {"endpointslice.kubernetes.io/managed-by": "me"}}),
        ),
        (
            "batch",
            "jobs",
            _object("batch/v1", "Job", status={"conditions": [{"type": "Complete", "status": "True"}]}),
            _object("batch/v1", "Job", status={"active": 1}),
        ),
        (
            "helm.cattle.io",
            "helmcharts",
            _object("helm.cattle.io/v1", "HelmChart", spec={"chart": "https://%{KUBERNETES_API}%/static/charts/t.tgz"}),
            _object("helm.cattle.io/v1", "HelmChart", spec={"chart": "https://charts.example.com/t.tgz"}),
        ),
        (
            "",
            "persistentvolumes",
            _object("v1", "PersistentVolume", {"annotations": {"pv.kubernetes.io/provisioned-by": "local-path"}}),
            _object("v1", "PersistentVolume", spec={"nfs": {}}),
        ),
        (
            "apiregistration.k8s.io",
            "apiservices",
            _object("v1", "APIService", {"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}}),
            _object("v1", "APIService", spec={"service": {"name": "metrics"}}),
        ),
        (
            "",
            "services",
            _object("v1", "Service", {"name": "kubernetes", "namespace": "default"}),
            _object("v1", "Service", {"name": "kubernetes", "namespace": "mine"}),
        ),
        (
            "",
            "configmaps",
            _object("v1", "ConfigMap", {"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            _object("v1", "ConfigMap", {"finalizers": ["x"]}),
        ),
    ],
)
def test_of_a_kind_only_what_nobody_makes_again_is_applied(
    group: str, plural: str, skipped: Object, kept: Object
) -> None:
    """What its owner or the cluster makes again is left to them; what somebody wrote is applied."""
    assert _reason(group, plural, skipped)
    assert not _reason(group, plural, kept)


def test_what_cannot_be_made_is_not_applied() -> None:
    """A kind that its API only shows, such as metrics, is in the raw form alone."""
    assert _reason("metrics.k8s.io", "pods", _object("metrics.k8s.io/v1", "PodMetrics"), "get", "list")
