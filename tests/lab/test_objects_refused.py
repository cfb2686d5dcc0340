"""Objects that meet others of their name in an API, or are refused by it: a real server, whose objects nobody runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.kube import Resource
from drkit.errors import RestoreFailed
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather
from tests.lab.planes import Plane, plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object
    from drkit.restore.objects.outcome import Applied

# Building their program needs what the lab needs.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.xdist_group("control-plane")]


@pytest.fixture
def new() -> Iterator[Plane]:
    """A fresh cluster."""
    with plane() as made:
        yield made


NAMESPACE: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"a": "b"}}}


def resource(api_version: str, plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    """A kind."""
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, plural, kind, namespaced, frozenset({"create", "list"}))


def in_shop(api_version: str, plural: str, kind: str, name: str, **rest: Any) -> tuple[Resource, Object]:
    """An object in the namespace of these tests."""
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, **rest}
    return resource(api_version, plural, kind), obj


def of_all(api_version: str, plural: str, kind: str, name: str, **rest: Any) -> tuple[Resource, Object]:
    """An object of the whole cluster."""
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}
    return resource(api_version, plural, kind, namespaced=False), obj


SHOP = resource("v1", "namespaces", "Namespace", namespaced=False), NAMESPACE


def put(to: Plane, *found: tuple[Resource, Object], **options: Any) -> Applied:
    """Apply these objects as a restore does."""
    with gather(found) as objects:
        return apply(to.api, objects, **options)


def pod(secret: str) -> Object:
    """A template whose environment holds what no message may show."""
    container = {"name": "main", "image": "example.com/a:1", "env": [{"name": "PASSWORD", "value": secret}]}
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container], "restartPolicy": "Never"}}


def claim(size: str) -> dict[str, Any]:
    """A claim's wishes."""
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "a"}


def test_what_cannot_be_changed_is_named_and_left(new: Plane) -> None:
    """Where another object is there that cannot become the wished one, the field is named, without what it holds."""
    sets = {"selector": {"matchLabels": {"app": "a"}}, "serviceName": "a", "replicas": 0}
    running = {**pod("hidden-1"), "spec": {**pod("hidden-1")["spec"], "restartPolicy": "Always"}}
    old = [
        in_shop("batch/v1", "jobs", "Job", "job", spec={"suspend": True, "template": pod("hidden-1")}),
        in_shop("apps/v1", "statefulsets", "StatefulSet", "set", spec={**sets, "template": running}),
        in_shop("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "claim", spec=claim("2Mi")),
        in_shop("v1", "services", "Service", "service", spec={"ports": [{"port": 80}]}),
        in_shop("v1", "pods", "Pod", "pod", spec=pod("hidden-1")["spec"]),
    ]
    wished = [
        in_shop("batch/v1", "jobs", "Job", "job", spec={"suspend": True, "template": pod("hidden-2")}),
        in_shop(
            "apps/v1", "statefulsets", "StatefulSet", "set", spec={**sets, "serviceName": "b", "template": running}
        ),
        in_shop("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "claim", spec=claim("1Mi")),
        in_shop("v1", "services", "Service", "service", spec={"clusterIP": "None", "ports": [{"port": 80}]}),
        in_shop("v1", "pods", "Pod", "pod", spec=pod("hidden-2")["spec"]),
        in_shop("v1", "configmaps", "ConfigMap", "other", data={"a": "b"}),
    ]
    put(new, SHOP, *old)
    assert put(new, SHOP, *old).replaced == ()
    with pytest.raises(RestoreFailed) as caught:
        put(new, SHOP, *wished)
    said = caught.value.message
    for name, field in [
        ("Job shop/job", "spec.template.spec.containers[name=main].env[name=PASSWORD].value"),
        ("StatefulSet shop/set", "spec.serviceName"),
        ("PersistentVolumeClaim shop/claim", "spec.resources.requests.storage"),
        ("Service shop/service", "spec.clusterIP"),
        ("Pod shop/pod", "spec.containers[name=main].env[name=PASSWORD].value"),
    ]:
        assert any(name in line and field in line for line in said.splitlines()), (name, said)
    assert "hidden" not in said
    assert new.api.get("/api/v1/namespaces/shop/configmaps/other")["data"] == {"a": "b"}


def test_what_loses_nothing_is_made_anew(new: Plane) -> None:
    """Objects that hold no more than what is written in them are replaced where they cannot be changed."""

    def objects(role: str, value: int, text: str) -> list[tuple[Resource, Object]]:
        rights = "rbac.authorization.k8s.io"
        ref = {"apiGroup": rights, "kind": "ClusterRole", "name": role}
        return [
            in_shop(f"{rights}/v1", "rolebindings", "RoleBinding", "a", roleRef=ref),
            of_all("storage.k8s.io/v1", "storageclasses", "StorageClass", "a", provisioner=f"example.com/{role}"),
            of_all("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "a", value=value),
            in_shop("v1", "configmaps", "ConfigMap", "fixed", immutable=True, data={"a": text}),
            in_shop("v1", "secrets", "Secret", "fixed", immutable=True, stringData={"a": text}),
        ]

    put(new, SHOP, *objects("view", 1, "old"))
    done = put(new, SHOP, *objects("edit", 2, "new"))
    assert {note.name for note in done.replaced} == {
        "RoleBinding shop/a",
        "StorageClass a",
        "PriorityClass a",
        "ConfigMap shop/fixed",
        "Secret shop/fixed",
    }
    assert new.api.get("/api/v1/namespaces/shop/configmaps/fixed")["data"] == {"a": "new"}
    assert new.api.get("/apis/scheduling.k8s.io/v1/priorityclasses/a")["value"] == 2


def test_fields_of_others_are_taken_over_and_told(new: Plane) -> None:
    """Where another manager wishes a field otherwise the sealed value wins, and both manager and field are named."""
    new.make([NAMESPACE, in_shop("v1", "configmaps", "ConfigMap", "a", data={"a": "theirs", "b": "b"})[1]], "gitops")
    done = put(new, in_shop("v1", "configmaps", "ConfigMap", "a", data={"a": "ours", "b": "b"}))
    assert [(note.name, note.why) for note in done.taken_over] == [("ConfigMap shop/a", "gitops: .data.a")]
    assert new.api.get("/api/v1/namespaces/shop/configmaps/a")["data"]["a"] == "ours"


def test_what_the_cluster_keeps_itself_is_left_alone(new: Plane) -> None:
    """Default rights and what k3s has deployed stay as the new version has them; what differs is named."""
    deployed = in_shop("v1", "configmaps", "ConfigMap", "coredns", data={"version": "new"})[1]
    new.make([NAMESPACE, deployed], "deploy@server-1")
    rights = "rbac.authorization.k8s.io/v1"
    view = of_all(rights, "clusterroles", "ClusterRole", "view", rules=[{"verbs": ["get"], "nonResourceURLs": ["/x"]}])
    binding: tuple[Resource, Object] = of_all(
        rights,
        "clusterrolebindings",
        "ClusterRoleBinding",
        "system:basic-user",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:basic-user"},
        subjects=[],
    )
    binding[1]["metadata"]["annotations"] = {"rbac.authorization.kubernetes.io/autoupdate": "false"}
    before = new.api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/view")["rules"]
    done = put(new, view, binding, in_shop("v1", "configmaps", "ConfigMap", "coredns", data={"version": "old"}))
    assert {(note.name, note.why) for note in done.left} == {
        ("ClusterRole view", "kept by the API server"),
        ("ConfigMap shop/coredns", "kept by k3s"),
    }
    assert new.api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/view")["rules"] == before
    assert new.api.get("/api/v1/namespaces/shop/configmaps/coredns")["data"] == {"version": "new"}
    kept = new.api.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user")
    assert "subjects" not in kept  # somebody took this one out of the API server's care


def test_all_that_fails_is_named_and_a_second_run_goes_on(new: Plane) -> None:
    """Every object that is not taken is named with the reason; all others are there, but for webhooks, which wait."""
    webhook = {
        "name": "a.example.com",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": ["x"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}],
    }
    hooks = of_all(
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        "hooks",
        webhooks=[webhook],
    )
    good = [SHOP, in_shop("v1", "configmaps", "ConfigMap", "good", data={"a": "b"}), hooks]
    bad = [
        in_shop("v1", "configmaps", "ConfigMap", "Bad_Name", data={}),
        in_shop("v1", "configmaps", "ConfigMap", "large", data={"a": "x" * 1_100_000}),
        in_shop("apps/v1", "deployments", "Deployment", "odd", spec={"nonsense": 1}),
        in_shop("example.com/v1", "things", "Thing", "thing"),
        (CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "nowhere"}}),
    ]
    with pytest.raises(RestoreFailed) as caught:
        put(new, *good, *bad)
    said = caught.value.message
    assert said.startswith("6 of 8 objects")
    for words in [
        ("ConfigMap shop/Bad_Name", "metadata.name"),
        ("ConfigMap shop/large", "Too long"),
        ("Deployment shop/odd", ".spec.nonsense: field not declared"),
        ("Thing shop/thing", "does not know things of example.com/v1"),
        ("ConfigMap nowhere/a", "no namespace nowhere"),
        ("ValidatingWebhookConfiguration hooks", "all other objects"),
    ]:
        assert any(all(word in line for word in words) for line in said.splitlines()), (words, said)
    done = put(new, *good)
    assert (done.applied, done.equal) == (1, 2)


CONFIG_MAPS = resource("v1", "configmaps", "ConfigMap")


def test_what_the_transform_makes_is_applied(new: Plane) -> None:
    """An object that the transform changes is applied as changed, and one that it gives nothing for is left out."""

    def held(obj: Object) -> Object | None:
        if obj["kind"] == "Secret":
            return None
        return {**obj, "data": {"held": "yes"}} if obj["kind"] == "ConfigMap" else obj

    done = put(
        new,
        SHOP,
        in_shop("v1", "configmaps", "ConfigMap", "a", data={"held": "no"}),
        in_shop("v1", "secrets", "Secret", "b", stringData={"a": "b"}),
        transform=held,
    )
    assert (done.applied, done.left_out) == (2, 1)
    assert new.api.get("/api/v1/namespaces/shop/configmaps/a")["data"] == {"held": "yes"}
    assert new.objects("/api/v1/namespaces/shop/secrets") == []
