"""The export of a real cluster's objects: whole, applicable, and with read-only rights."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from drkit.cluster.api import connect
from drkit.cluster.kube import Resource
from drkit.cluster.kubeconfig import Credentials
from drkit.cluster.kubeconfig import read as read_kubeconfig
from drkit.errors import KubeRefused
from drkit.manifests import order, paths
from drkit.manifests.rehearse import rehearse
from drkit.manifests.skip import KINDS
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather
from tests.exported import Exported, export
from tests.lab import every_kind
from tests.lab.labs import kubectl
from tests.lab.waiting import until

if TYPE_CHECKING:
    from drkit.cluster.api import HttpApi
    from drkit.cluster.kube import Object

pytestmark = pytest.mark.lab

_BUILT_IN = ("", ".k8s.io")
_CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False, verbs=frozenset()
)
_APPS = frozenset({"apps", "autoscaling", "batch", "policy"})


@pytest.fixture(scope="module")
def api(lab: dict[str, Any]) -> HttpApi:
    """The lab's API, as its administrator."""
    return connect(read_kubeconfig(Path(str(lab["kubeconfig"]))))


class Place:
    """What a test may make: a namespace, and names in the cluster that begin alike; all of it is removed after it."""

    def __init__(self, lab: dict[str, Any]) -> None:
        self.lab = lab
        self.prefix = f"test-{uuid4().hex[:8]}"
        self.namespace = f"{self.prefix}-in"

    def apply(self, objects: list[Object], *options: str) -> None:
        """Apply objects with kubectl."""
        self.kubectl(
            "apply", *options, "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
        )

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says; it has to succeed."""
        done = kubectl(self.lab, *words, stdin=stdin)
        assert done.status == 0, done.err
        return done.out

    def files(self, exported: Exported) -> dict[str, bytes]:
        """The files of what was made here."""
        own = f"/namespaces/{self.namespace}/"
        return {
            path: content
            for path, content in exported.files.items()
            if path.startswith("objects/") and (own in path or ("/cluster/" in path and self.prefix in path))
        }

    def clear(self, objects: list[Object]) -> None:
        """Delete all of it and see that it is gone."""
        own = [obj for obj in objects if "namespace" not in obj["metadata"]]  # the others go with their namespace
        every = {"kind": "List", "apiVersion": "v1", "items": own}
        self.kubectl("delete", "--ignore-not-found", "--timeout=100s", "-f", "-", stdin=json.dumps(every))


@pytest.fixture
def place(lab: dict[str, Any]) -> Place:
    """A place of the test's own."""
    return Place(lab)


def test_what_was_exported_can_be_applied_and_is_the_same_again(api: HttpApi, place: Place) -> None:
    """Export, delete, restore, export: every file is equal, for objects of every built-in kind."""
    definition = every_kind.definition(place.prefix)
    objects = every_kind.objects(place.prefix, place.namespace)
    everything = [definition, *objects]
    try:
        place.apply([definition])
        place.kubectl("wait", "--for=condition=Established", f"crd/{definition['metadata']['name']}")
        place.apply(objects)
        before = export(api)
        first = place.files(before)
        assert _lacking_kinds(before, first) == []
        place.clear(everything)
        assert place.files(export(api)) == {}
        _restore(api, before, first)
        second = place.files(export(api))
    finally:
        place.clear(everything)
    _compare(first, second)


def _compare(first: dict[str, bytes], second: dict[str, bytes]) -> None:
    assert sorted(second) == sorted(first)
    different = [path for path, content in first.items() if second[path] != content]
    assert not different, "\n".join(f"{path}\n{first[path].decode()}\n{second[path].decode()}" for path in different)


def _restore(api: HttpApi, exported: Exported, files: dict[str, bytes]) -> None:
    """The objects of these files, as a restore applies them."""
    wished = [
        (kind, obj)
        for kind, obj in exported.wished
        if paths.of_object(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) in files
    ]
    with gather(wished) as objects:
        apply(api, objects)


def _lacking_kinds(exported: Exported, files: dict[str, bytes]) -> list[str]:
    """The built-in kinds that could be in an export of these files and are not."""
    there = {"/".join(path.split("/")[-3:-1]) for path in files}
    return [
        path
        for path, kind in exported.details["kinds"].items()
        if path not in there
        and (kind["group"] in _APPS or kind["group"].endswith(_BUILT_IN[1]) or not kind["group"])
        and "create" in kind["verbs"]
        and (kind["group"], kind["plural"]) not in KINDS
    ]


def _rights() -> str:
    return (resources.files("drkit.cluster") / "rbac.yaml").read_text(encoding="utf-8")


def _reader(lab: dict[str, Any], place: Place) -> HttpApi:
    """The API as an account that has the rights in drkit/cluster/rbac.yaml alone."""
    place.kubectl("apply", "-f", "-", stdin=_rights())
    token = place.kubectl("create", "token", "drkit-reader", "-n", "drkit").strip()
    access = read_kubeconfig(Path(str(lab["kubeconfig"])))
    return connect(replace(access, credentials=Credentials(token=token)))


def test_reading_rights_are_enough(lab: dict[str, Any], place: Place, api: HttpApi) -> None:
    """An account that may read everything and nothing else exports everything, and may not change a thing."""
    try:
        reader = _reader(lab, place)
        made = export(reader)
        assert made.details["lacking"] == {}
        assert made.details["kinds"].keys() == export(api).details["kinds"].keys()
        assert {obj["kind"] for obj in made.raw} >= {"Secret", "Node", "ClusterRole", "Pod", "Lease"}
        changed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
        with pytest.raises(KubeRefused) as caught:
            reader.apply("/api/v1/namespaces/default/configmaps/a", changed, dry_run=True)
        assert caught.value.status == 403
    finally:
        place.kubectl("delete", "--ignore-not-found", "--timeout=100s", "-f", "-", stdin=_rights())


def test_what_cannot_be_read_is_named(api: HttpApi, place: Place) -> None:
    """An aggregated API whose backend is down is named; a definition that serves nothing hides nothing else."""
    service: Object = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{place.prefix}.example.com"},
        "spec": {
            "group": f"{place.prefix}.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 1,
            "service": {"namespace": "default", "name": "nobody"},
            "insecureSkipTLSVerify": True,
        },
    }
    definition = every_kind.definition(f"{place.prefix}-none")
    for version in definition["spec"]["versions"]:
        version["served"] = False
    try:
        place.apply([service, definition])
        until(lambda: f"{place.prefix}.example.com/v1" in api.discover().failed, every=0.5)
        made = export(api)
        assert list(made.details["lacking"]) == [f"{place.prefix}.example.com/v1"]
        assert not [path for path in made.details["kinds"] if f"{place.prefix}-none" in path]
        names = {obj["metadata"]["name"] for obj in made.raw}
        assert {service["metadata"]["name"], definition["metadata"]["name"]} <= names
    finally:
        place.clear([service, definition])
    until(lambda: not api.discover().failed, every=0.5)


def test_large_objects_and_odd_names_come_back(api: HttpApi, place: Place) -> None:
    """Objects of a megabyte, and names with every character that Kubernetes allows, are exported and can be applied."""
    role: Object = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    names = [f"{place.prefix}:a:B", f"{place.prefix}:A:b", f"{place.prefix}-{'x' * 230}", f"{place.prefix} a\\,;=@~#ä"]
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace}}
    odd: list[Object] = [{**role, "metadata": {"name": name}} for name in names]
    try:
        for obj in odd:
            api.apply(_CLUSTER_ROLES.object_path("", obj["metadata"]["name"]), obj, dry_run=False)
        place.apply([namespace])
        for number in range(6):
            name = f"large-{number}"
            data = {"text": f"{number} ä\n" * 200_000}
            large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": place.namespace}}
            path = f"/api/v1/namespaces/{place.namespace}/configmaps/{name}"
            api.apply(path, {**large, "data": data}, dry_run=False)
        made = export(api)
        assert made.details["lacking"] == {}
        ours = [
            obj for kind, obj in made.wished if _is_ours(place, obj) and kind.plural in {"clusterroles", "configmaps"}
        ]
        assert sorted(obj["metadata"]["name"] for obj in ours if obj["kind"] == "ClusterRole") == sorted(names)
        assert len([obj for obj in ours if len(str(obj)) > 1_000_000]) == 6
        tried = rehearse(api, [(kind, obj) for kind, obj in made.wished if _is_ours(place, obj)])
        assert (tried.refused, tried.untried) == ((), ())
    finally:
        place.clear([*odd, namespace])


def _is_ours(place: Place, obj: Object) -> bool:
    metadata = obj["metadata"]
    return bool(metadata["name"].startswith(place.prefix) or metadata.get("namespace") == place.namespace)


def test_a_cluster_would_take_back_its_own_objects(api: HttpApi) -> None:
    """Nothing that a restore would apply is refused by the very server that it comes from."""
    tried = rehearse(api, export(api).wished)
    assert tried.refused == ()
    assert tried.untried == ()
    assert tried.taken > 100


_SAMPLE = frozenset({"docfast", "postgres"})


def _copies(exported: Exported, place: Place) -> list[tuple[Resource, Object]]:
    """The sample workload's objects, in the test's namespace and no larger than needed."""
    copies: list[tuple[Resource, Object]] = []
    for kind, obj in exported.wished:
        metadata = obj["metadata"]
        if metadata.get("namespace") not in _SAMPLE or metadata["name"] in {"default", "main-db-replication"}:
            continue
        copy = {**obj, "metadata": {**metadata, "namespace": place.namespace}}
        if kind.plural in {"clusters", "poolers"}:
            copy["spec"] = {**obj["spec"], "instances": 1}
        if kind.plural == "ingresses":
            rules = [{**rule, "host": f"{place.prefix}.test"} for rule in obj["spec"]["rules"]]
            copy["spec"] = {**{key: value for key, value in obj["spec"].items() if key != "tls"}, "rules": rules}
        copies.append((kind, copy))
    return copies


def test_the_sample_workload_comes_back(workload: dict[str, object], api: HttpApi, place: Place) -> None:
    """Export, delete, restore, export: a database cluster with its passwords and an application are the same again."""
    everything: list[Object] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace}}]
    copies = _copies(export(api), place)
    kinds = {kind.kind for kind, _ in copies}
    assert kinds >= {"Cluster", "Pooler", "Secret", "ConfigMap", "Deployment", "Service", "Ingress", "Template"}

    def is_ready() -> bool:
        path = f"/apis/postgresql.cnpg.io/v1/namespaces/{place.namespace}/clusters/main-db"
        return bool(api.get(path).get("status", {}).get("readyInstances") == 1)

    try:
        place.apply(everything)
        for kind, obj in sorted(copies, key=lambda each: order.phase(each[0], each[1], order.Operators())):
            api.apply(kind.object_path(place.namespace, obj["metadata"]["name"]), obj, dry_run=False)
        until(is_ready, seconds=200, every=1)
        before = export(api)
        first = place.files(before)
        place.clear(everything)
        assert place.files(export(api)) == {}
        _restore(api, before, first)
        until(is_ready, seconds=200, every=1)
        second = place.files(export(api))
    finally:
        place.clear(everything)
    assert f"objects/namespaces/{place.namespace}/core/secrets/main-db-app.yaml" in first
    _compare(first, second)
