"""Parts of an export, and namespaces under another name."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.errors import NoSuchPoint, UsageError
from drkit.restore.objects import parts, rename
from tests.contract.api_server import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, resource
from tests.lab import every_kind

if TYPE_CHECKING:
    from drkit.cluster.kube import Object, Resource

ROLES = resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io", namespaced=False)
CLUSTERS = resource("clusters", "Cluster", "postgresql.cnpg.io")
OTHERS = resource("clusters", "Cluster", "example.com")
NAMES = {"docfast": "docfast-test"}


def found() -> list[tuple[Resource, Object]]:
    """A small cluster."""

    def named(name: str, namespace: str = "") -> Object:
        return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}}

    return [
        (NAMESPACES, named("docfast")),
        (NAMESPACES, named("other")),
        (CONFIG_MAPS, named("web", "docfast")),
        (CONFIG_MAPS, named("web", "other")),
        (DEPLOYMENTS, named("web", "docfast")),
        (DEPLOYMENTS, named("worker", "docfast")),
        (ROLES, named("docfast")),
        (ROLES, named("system:a:b")),
        (CLUSTERS, named("main", "docfast")),
        (OTHERS, named("main", "docfast")),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("manifests/docfast/Deployment/web", ["deployments docfast/web"]),
        ("manifests/docfast/deployments.apps/web", ["deployments docfast/web"]),
        ("manifests/docfast/configmaps/web", ["configmaps docfast/web"]),
        ("manifests/docfast/deployment", ["deployments docfast/web", "deployments docfast/worker"]),
        ("manifests/-/ClusterRole/system:a:b", ["clusterroles system:a:b"]),
        ("manifests/-/Namespace/docfast", ["namespaces docfast"]),
        ("manifests/-/ClusterRole", ["clusterroles docfast", "clusterroles system:a:b"]),
        ("manifests/other", ["namespaces other", "configmaps other/web"]),
        ("manifests/docfast/clusters.postgresql.cnpg.io/main", ["clusters docfast/main"]),
    ],
)
def test_a_part_is_what_it_names(text: str, expected: list[str]) -> None:
    """A part names one object, all of a kind, or a namespace with all that is in it."""
    part = parts.parse(text)
    assert str(part) == text
    assert [_shown(*each) for each in parts.select(found(), [part])] == expected


def _shown(kind: Resource, obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{kind.plural} {'/'.join(filter(None, (metadata.get('namespace'), metadata['name'])))}"


def test_several_parts_are_one_selection() -> None:
    """An object that two parts name is there once; everything is a part too."""
    chosen = [parts.parse(text) for text in ("manifests/docfast", "manifests/docfast/Deployment/web")]
    assert len(list(parts.select(found(), chosen))) == 6
    assert list(parts.select(found(), [parts.parse("manifests")])) == found()


@pytest.mark.parametrize("text", ["manifests/", "manifests//Deployment", "manifests/a/b/c/d", "databases/a", ""])
def test_what_names_no_part_is_refused(text: str) -> None:
    """A part that is none is a mistake of the command line."""
    with pytest.raises(UsageError, match="expected manifests/NAMESPACE"):
        parts.parse(text)


def test_a_part_that_is_not_there_is_named_with_what_may_have_been_meant() -> None:
    """Nothing is restored silently: a name that is nowhere is said, and similar ones are."""
    with pytest.raises(NoSuchPoint) as caught:
        list(parts.select(found(), [parts.parse("manifests/docfast/Deployment/webb")]))
    assert "manifests/docfast/Deployment/web?" in caught.value.hint
    with pytest.raises(NoSuchPoint) as caught:
        list(parts.select(found(), [parts.parse("manifests/other/Deployment/worker")]))
    assert "manifests/docfast/Deployment/worker" in caught.value.hint
    with pytest.raises(NoSuchPoint):
        list(parts.select(found(), [parts.parse("manifests/nowhere")]))


def test_a_name_of_two_kinds_is_asked_about() -> None:
    """Where two groups have a kind of one name, the one that is meant has to be said."""
    with pytest.raises(UsageError, match=r"clusters.example.com, clusters.postgresql.cnpg.io"):
        list(parts.select(found(), [parts.parse("manifests/docfast/Cluster/main")]))


_REFERENCES: list[tuple[str, dict[str, Any]]] = [
    ("RoleBinding", {"subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "docfast"}]}),
    ("RoleBinding", {"subjects": [{"kind": "Group", "name": "system:serviceaccounts:docfast"}]}),
    ("ClusterRoleBinding", {"subjects": [{"kind": "User", "name": "system:serviceaccount:docfast:a"}]}),
    ("ValidatingWebhookConfiguration", {"webhooks": [{"clientConfig": {"service": {"namespace": "docfast"}}}]}),
    (
        "MutatingWebhookConfiguration",
        {"webhooks": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "docfast"}}}]},
    ),
    (
        "NetworkPolicy",
        {
            "spec": {
                "ingress": [
                    {
                        "from": [
                            {
                                "namespaceSelector": {
                                    "matchExpressions": [
                                        {
                                            "key": "kubernetes.io/metadata.name",
                                            "operator": "In",
                                            "values": ["docfast", "else"],
                                        }
                                    ]
                                }
                            }
                        ]
                    }
                ]
            }
        },
    ),
    (
        "CustomResourceDefinition",
        {"spec": {"conversion": {"webhook": {"clientConfig": {"service": {"namespace": "docfast"}}}}}},
    ),
    ("APIService", {"spec": {"service": {"namespace": "docfast", "name": "a"}}}),
    ("PersistentVolume", {"spec": {"claimRef": {"namespace": "docfast", "name": "a"}}}),
    ("StorageClass", {"parameters": {"csi.storage.k8s.io/node-stage-secret-namespace": "docfast"}}),
    ("ValidatingAdmissionPolicyBinding", {"spec": {"paramRef": {"namespace": "docfast"}}}),
    (
        "Deployment",
        {"spec": {"template": {"spec": {"affinity": {"podAffinity": {"required": [{"namespaces": ["docfast"]}]}}}}}},
    ),
    ("FlowSchema", {"spec": {"rules": [{"subjects": [{"serviceAccount": {"namespace": "docfast", "name": "*"}}]}]}}),
    ("IngressRoute", {"spec": {"routes": [{"services": [{"name": "web", "namespace": "docfast"}]}]}}),
    ("ServiceMonitor", {"spec": {"namespaceSelector": {"matchNames": ["docfast", "x"]}}}),
    ("HelmChart", {"spec": {"targetNamespace": "docfast"}}),
    ("Other", {"spec": {"watchNamespaces": ["docfast"], "secretNamespace": "docfast"}}),
    ("Certificate", {"metadata": {"annotations": {"cert-manager.io/inject-ca-from": "docfast/ca"}}}),
    ("Deployment", {"metadata": {"annotations": {"meta.helm.sh/release-namespace": "docfast"}}}),
    ("Deployment", {"metadata": {"namespace": "docfast"}}),
]


@pytest.mark.parametrize(("kind", "rest"), _REFERENCES)
def test_every_field_that_names_the_namespace_is_renamed(kind: str, rest: dict[str, Any]) -> None:
    """The old name is in none of these fields any more, and nothing else has changed."""
    obj = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "web"}, **rest}
    before = copy.deepcopy(obj)
    after = rename.rename(obj, NAMES)
    assert obj == before
    assert json.dumps(after) == json.dumps(before).replace("docfast", "docfast-test")
    assert rename.rename(after, {"docfast-test": "docfast"}) == before


def test_the_namespace_itself_is_renamed() -> None:
    """Its name and the label that carries it."""
    obj = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "docfast", "labels": {"kubernetes.io/metadata.name": "docfast", "team": "docfast"}},
    }
    metadata = rename.rename(obj, NAMES)["metadata"]
    assert metadata == {
        "name": "docfast-test",
        "labels": {"kubernetes.io/metadata.name": "docfast-test", "team": "docfast"},
    }


def test_what_kubectl_applied_last_is_forgotten() -> None:
    """A copy does not carry the text of an object in another namespace; one that is not renamed keeps it."""
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    obj = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "docfast", "annotations": annotations}}
    assert rename.rename(obj, NAMES)["metadata"]["annotations"] == {"a": "b"}
    assert rename.rename(obj, {"other": "more"}) == obj


def test_text_is_left_and_told_of() -> None:
    """What environment variables, ConfigMaps and Secrets say stays as it is; where it means the namespace is named."""
    container = {
        "name": "main",
        "env": [
            {"name": "DATABASE", "value": "postgres://main-db-rw.docfast.svc.cluster.local/docfast"},
            {"name": "CACHE", "value": "http://cache.docfast:6379"},
            {"name": "SITE", "value": "https://www.docfast.dev/docfast"},
        ],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "docfast"},
        "spec": {"containers": [container]},
    }
    after = rename.rename(pod, NAMES)
    assert after["spec"] == pod["spec"]
    assert rename.mentions(after, NAMES) == (
        "spec.containers[name=main].env[name=DATABASE].value",
        "spec.containers[name=main].env[name=CACHE].value",
    )
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"namespace": "docfast"}}
    secret["data"] = {"namespace": "docfast", "url": base64.b64encode(b"db.docfast.svc").decode()}
    assert rename.rename(secret, NAMES)["data"] == secret["data"]
    assert rename.mentions(secret, NAMES) == ("data.url",)
    ingress = {
        "metadata": {"annotations": {"traefik.ingress.kubernetes.io/router.middlewares": "docfast-auth@kubernetescrd"}}
    }
    assert len(rename.mentions(ingress, NAMES)) == 1


@pytest.mark.parametrize(
    "pairs",
    [["docfast"], ["=a"], ["a="], ["A=b"], ["a=b/c"], ["kube-system=a"], ["a=default"], ["a=b", "a=c"], ["a=c", "b=c"]],
)
def test_what_is_no_pair_of_names_is_refused(pairs: list[str]) -> None:
    """Names that no namespace can have, that every cluster has of its own, or that are named twice are refused."""
    with pytest.raises(UsageError, match="--namespace"):
        rename.parse(pairs)
    assert rename.parse(["a=b", "c=d"]) == {"a": "b", "c": "d"}


def test_objects_of_every_kind_are_moved_whole() -> None:
    """Of objects of every built-in kind none names the old namespace, and going back gives the same ones."""
    objects = every_kind.objects("docs", "docfast")
    moved = [rename.rename(obj, NAMES) for obj in objects]
    assert '"docfast"' not in json.dumps(moved)
    assert [rename.rename(obj, {"docfast-test": "docfast"}) for obj in moved] == objects
    assert sum(obj["metadata"].get("namespace") == "docfast-test" for obj in moved) > 20


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("docfast"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["namespace", "namespaces", "metadata", "key", "values", "kind", "annotations", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "data", "kind", "apiVersion"]), _JSON, max_size=4))
def test_no_shape_is_too_odd(obj: dict[str, Any]) -> None:
    """Whatever an object looks like it is copied, and with names that it does not hold it stays the same."""
    assert rename.rename(obj, {"nowhere": "elsewhere"}) == obj
    rename.rename(obj, NAMES)
    rename.mentions(obj, NAMES)
