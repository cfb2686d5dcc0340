"""What changed between two exports; in which order objects are applied; what an API server would refuse of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster.api import HttpApi, connect
from drkit.errors import KubeUnreachable
from drkit.manifests import order
from drkit.manifests.diff import ADDED, CHANGED, HIDDEN, REMOVED, FieldChange, ObjectChange, compare
from drkit.manifests.rehearse import rehearse
from tests.contract.api_server import CONFIG_MAPS, DEPLOYMENTS, memory_api, resource

if TYPE_CHECKING:
    from drkit.cluster.kube import Object, Resource

SECRETS = resource("secrets", "Secret")


def _object(kind: Resource, name: str, namespace: str = "one", **rest: Any) -> tuple[Resource, Object]:
    metadata = {"name": name, "namespace": namespace, **rest.pop("metadata", {})}
    return kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}


def _fields(old: dict[str, Any], new: dict[str, Any], kind: Resource = CONFIG_MAPS) -> list[tuple[str, str, str, str]]:
    changes = compare([_object(kind, "a", **old)], [_object(kind, "a", **new)])
    return [(field.path, field.change, field.before, field.after) for change in changes for field in change.fields]


def test_objects_are_added_removed_and_changed() -> None:
    """Each object that differs is named once, with its fields where it is there on both sides."""
    old = [_object(CONFIG_MAPS, "a", data={"x": "1"}), _object(CONFIG_MAPS, "b"), _object(DEPLOYMENTS, "c")]
    new = [_object(DEPLOYMENTS, "c"), _object(CONFIG_MAPS, "b", "two"), _object(CONFIG_MAPS, "a", data={"x": "2"})]
    assert compare(old, new) == (
        ObjectChange("configmaps", "one", "a", CHANGED, (FieldChange("data.x", CHANGED, '"1"', '"2"'),)),
        ObjectChange("configmaps", "one", "b", REMOVED),
        ObjectChange("configmaps", "two", "b", ADDED),
    )
    assert compare(old, old) == ()


def test_another_served_version_is_no_change() -> None:
    """After an update of the cluster the same object may come in a newer version."""
    newer = resource("deployments", "Deployment", "apps", "v2")
    assert compare([_object(DEPLOYMENTS, "a", spec=1)], [_object(newer, "a", spec=1)]) == ()


def test_fields_are_named_by_their_path() -> None:
    """Elements with names are found by them, wherever they stand; others by their number."""
    old = {"spec": {"containers": [{"name": "web", "image": "a:1"}, {"name": "side"}], "args": ["x", "y"]}}
    new = {"spec": {"containers": [{"name": "side"}, {"name": "web", "image": "a:2"}], "args": ["x", "z", "w"]}}
    assert _fields(old, new) == [
        ("spec.containers[name=web].image", CHANGED, '"a:1"', '"a:2"'),
        ("spec.args[1]", CHANGED, '"y"', '"z"'),
        ("spec.args[2]", ADDED, "", '"w"'),
    ]
    labels = _fields({"metadata": {"labels": {"a.b/c": "1"}}}, {"metadata": {"labels": {}}})
    assert labels == [('metadata.labels["a.b/c"]', REMOVED, '"1"', "")]


def test_values_of_one_kind_are_not_those_of_another() -> None:
    """A number is not a truth or a text, and nothing is not empty."""
    assert _fields({"a": 1, "b": "1", "c": None}, {"a": True, "b": 1, "c": {}}) == [
        ("a", CHANGED, "1", "true"),
        ("b", CHANGED, '"1"', "1"),
        ("c", CHANGED, "null", "{}"),
    ]
    assert _fields({"a": {"b": 1}}, {"a": [1]}) == [("a", CHANGED, '{"b": 1}', "[1]")]


def test_long_values_are_shortened() -> None:
    """A file in a ConfigMap does not fill the screen."""
    ((_, _, before, after),) = _fields({"data": "x" * 5000}, {"data": "short"})
    assert len(before) == 80
    assert before.endswith("…")
    assert after == '"short"'


@pytest.mark.parametrize("secret", ["hunter2"])
def test_secrets_are_never_shown(secret: str) -> None:
    """That a secret changed is said, its value never: in Secrets, and under names that say what they hold."""
    applied = {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": f'{{"data":"{secret}"}}'}}
    changes = [
        _fields({"data": {"a": "x"}}, {"data": {"a": secret, "b": secret}, "metadata": applied}, SECRETS),
        _fields({"spec": {"env": []}}, {"spec": {"env": [{"name": "DB_PASSWORD", "value": secret}]}}),
        _fields({}, {"spec": {"apiToken": secret, "auth": {"privateKey": {"inline": secret}}}}),
    ]
    for fields in changes:
        assert fields
        assert secret not in str(fields)
    assert ("data.a", CHANGED, HIDDEN, HIDDEN) in changes[0]
    assert _fields({"spec": {"secretName": "a"}}, {"spec": {"secretName": "b"}})[0][3] == '"b"'


_CRD = resource("customresourcedefinitions", "CustomResourceDefinition", "apiextensions.k8s.io", namespaced=False)
_ROLES = resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io", namespaced=False)
_BINDINGS = resource("clusterrolebindings", "ClusterRoleBinding", "rbac.authorization.k8s.io", namespaced=False)
_WEBHOOKS = resource(
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    "admissionregistration.k8s.io",
    namespaced=False,
)


def _workload(name: str, namespace: str, account: str = "") -> tuple[Resource, Object]:
    pod = {"serviceAccountName": account} if account else {}
    return _object(DEPLOYMENTS, name, namespace, spec={"template": {"spec": pod}})


def test_what_others_need_comes_first() -> None:
    """Definitions, namespaces, rights, configuration, operators, workloads and, last, admission webhooks."""
    hook = {"clientConfig": {"service": {"namespace": "cert-manager", "name": "x"}}}
    found = [
        _object(_WEBHOOKS, "a", webhooks=[hook, {"clientConfig": {"url": "https://example.com"}}]),
        _workload("web", "one"),
        _workload("cert-manager-webhook", "cert-manager"),
        _workload("operator", "cnpg-system", "manager"),
        _object(resource("things", "Thing", "postgresql.cnpg.io"), "db"),
        _object(resource("services", "Service"), "s"),
        _object(resource("persistentvolumeclaims", "PersistentVolumeClaim"), "p"),
        _object(CONFIG_MAPS, "c"),
        _object(_BINDINGS, "b", roleRef={"name": "r"}, subjects=[_subject("cnpg-system", "manager")]),
        _object(_ROLES, "r", rules=[{"apiGroups": ["postgresql.cnpg.io"], "resources": ["*"]}]),
        _object(resource("storageclasses", "StorageClass", "storage.k8s.io"), "l"),
        _object(resource("namespaces", "Namespace"), "one"),
        _object(_CRD, "things.postgresql.cnpg.io", spec={"group": "postgresql.cnpg.io"}),
    ]
    told = order.operators(found)
    ordered = sorted(found, key=lambda each: order.phase(each[0], each[1], told))
    names = [obj["metadata"]["name"] for _, obj in ordered]
    assert names[:2] == ["things.postgresql.cnpg.io", "one"]
    assert names[-1] == "a"
    phases = {obj["metadata"]["name"]: order.phase(kind, obj, told) for kind, obj in found}
    assert phases["operator"] == phases["cert-manager-webhook"] == order.Phase.OPERATORS
    assert phases["web"] == phases["db"] == order.Phase.WORKLOADS
    assert phases["r"] < phases["c"] < phases["p"] < phases["s"] < phases["operator"] < phases["web"] < phases["a"]


def test_the_pods_network_comes_before_what_needs_it() -> None:
    """A network that looks after no custom resources is there before operators are waited for, which run in it."""
    daemons = resource("daemonsets", "DaemonSet", "apps")
    host = {"template": {"spec": {"hostNetwork": True, "serviceAccountName": "flannel"}}}
    flannel = _object(daemons, "kube-flannel-ds", "kube-flannel", spec=host)
    logs = _object(daemons, "logs", "one", spec={"template": {"spec": {"hostNetwork": False}}})
    web = _object(DEPLOYMENTS, "web", "one", spec=host)
    phases = [order.phase(kind, obj, order.Operators()) for kind, obj in (flannel, logs, web)]
    assert phases == [order.Phase.NETWORK, order.Phase.WORKLOADS, order.Phase.WORKLOADS]
    operator = order.Operators(frozenset({"kube-flannel"}))
    assert order.phase(*flannel, operator) < order.phase(*_workload("other", "kube-flannel"), operator)


def _subject(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


@pytest.mark.parametrize("odd", [None, 3, "x", [], {}, [1], [{"clientConfig": 3}], {"a": None}])
def test_odd_shapes_have_an_order_too(odd: Any) -> None:
    """Whatever an object looks like, it is applied some time."""
    fields = {"spec": odd, "rules": odd, "webhooks": odd, "subjects": odd, "roleRef": odd}
    found = [_object(kind, "a", **fields) for kind in (_CRD, _ROLES, _BINDINGS, _WEBHOOKS, DEPLOYMENTS)]
    told = order.operators(found)
    assert all(isinstance(order.phase(kind, obj, told), order.Phase) for kind, obj in found)


def test_a_rehearsal_says_what_would_be_refused() -> None:
    """Every object is tried and nothing is changed; what cannot be tried yet is told from what is refused."""
    with memory_api() as memory:
        things = [_object(CONFIG_MAPS, f"map-{number}") for number in range(200)]
        memory.fail("map-7\\?", status=422)
        found = rehearse(
            connect(memory.access),
            [*things, _object(resource("things", "Thing", "example.com"), "x"), _object(CONFIG_MAPS, "..")],
        )
        assert found.taken == 199
        assert [(each.name, each.kind) for each in found.refused] == [
            ("map-7", "v1/configmaps"),
            ("..", "v1/configmaps"),
        ]
        assert [each.kind for each in found.untried] == ["example.com/v1/things"]
        assert memory.objects.get(CONFIG_MAPS.path, []) == []
        assert all("dryRun=All" in request for request in memory.requests)


def test_a_rehearsal_needs_a_server() -> None:
    """A server that does not answer refuses nothing."""
    from drkit.cluster.transport import Transport  # noqa: PLC0415
    from tests.contract.test_kube import StoppedClock  # noqa: PLC0415

    with memory_api() as gone:
        access = gone.access
    clock = StoppedClock()
    with pytest.raises(KubeUnreachable):
        rehearse(HttpApi(Transport(access, clock, clock.pause)), [_object(CONFIG_MAPS, "a")])
