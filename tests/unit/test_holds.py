"""Holding and releasing workloads, and which of them use a database."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.restore import holds
from drkit.restore.database_users import Databases, databases, users

if TYPE_CHECKING:
    from drkit.cluster.kube import Object

_WORDS = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=5)
_LABELS = st.dictionaries(_WORDS, _WORDS, max_size=3)
_ABSENT = object()
APIS = {
    **dict.fromkeys(("CronJob", "Job"), "batch/v1"),
    **dict.fromkeys(("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"), "apps/v1"),
    "Pooler": "postgresql.cnpg.io/v1",
}


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or that the key is not there."""
    return st.one_of(st.just(_ABSENT), strategy)


def present(**fields: Any) -> dict[str, Any]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value is not _ABSENT}


@st.composite
def workloads(draw: st.DrawFn) -> Object:
    """An object that can be held, in any state."""
    kind = draw(st.sampled_from([*APIS]))
    spec: dict[str, Any] = {"other": draw(_WORDS)}
    if kind in {"CronJob", "Job"}:
        spec |= present(suspend=draw(maybe(st.booleans())))
    elif kind == "DaemonSet":
        spec["template"] = {"spec": present(nodeSelector=draw(maybe(_LABELS)), hostNetwork=draw(maybe(st.booleans())))}
    elif kind == "Pooler":
        spec |= present(instances=draw(maybe(st.integers(0, 50))))
    else:
        spec |= present(replicas=draw(maybe(st.integers(0, 50))))
    metadata = present(name=draw(_WORDS), annotations=draw(maybe(_LABELS)), labels=draw(maybe(_LABELS)))
    return {"apiVersion": APIS[kind], "kind": kind, "metadata": metadata, "spec": spec}


def applied(obj: Object, patch: Object | None) -> Object:
    """What the API makes of a patch."""
    return obj if patch is None else holds.merge(copy.deepcopy(obj), patch)


@given(workloads())
def test_releasing_undoes_holding(obj: Object) -> None:
    """What was held and released is what it was before, and was held in between; holding twice is holding once."""
    before = copy.deepcopy(obj)
    held = holds.hold(obj)
    assert obj == before
    assert holds.is_held(held)
    assert not holds.is_held(obj)
    assert holds.hold(held) == held
    assert holds.hold_patch(held) is None
    assert holds.release(held) == obj
    assert holds.release_patch(obj) is None


@given(workloads())
def test_patches_come_to_the_same(obj: Object) -> None:
    """What a patch does to an object in the cluster is what holding does to one that has yet to be applied."""
    held = applied(obj, holds.hold_patch(obj))
    assert held == holds.hold(obj)
    assert applied(held, holds.release_patch(held)) == obj


@given(workloads(), st.integers(1, 9))
def test_what_somebody_woke_is_held_again(obj: Object, replicas: int) -> None:
    """An object whose state was changed while it was held is put to sleep again, and gets back what it had at first."""
    held = holds.hold(obj)
    woken = copy.deepcopy(held)
    keys = {"CronJob": "suspend", "Job": "suspend", "DaemonSet": "other", "Pooler": "instances"}
    key = keys.get(obj["kind"], "replicas")
    woken["spec"][key] = {"suspend": False, "other": obj["spec"]["other"]}.get(key, replicas)
    assert holds.hold(woken) == held


@given(workloads(), st.one_of(st.text(max_size=20), st.just("[" * 100_000), st.just('{"replicas": true}')))
def test_an_annotation_of_somebody_else_is_no_hold(obj: Object, text: str) -> None:
    """What does not say what was there before releases nothing, and keeps nothing from being held."""
    obj["metadata"]["annotations"] = {holds.ANNOTATION: text}
    assert holds.release_patch(obj) is None
    held = holds.hold(obj)
    assert holds.is_held(held)


def test_what_cannot_be_held_stays() -> None:
    """A Service is a Service."""
    service = {"kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    assert holds.hold(service) is service


def owned(obj: Object, kind: str, name: str, api: str = "apps/v1") -> Object:
    """The object, controlled by another."""
    obj["metadata"]["ownerReferences"] = [{"apiVersion": api, "kind": kind, "name": name, "controller": True}]
    return obj


def thing(kind: str, name: str, **more: Any) -> Object:
    """An object in the namespace ``app``."""
    return {"kind": kind, "metadata": {"name": name, "namespace": "app"}, **more}


def test_what_is_held() -> None:
    """CronJobs, their unfinished Jobs, poolers, users of a database are held; not what an operator or the past has."""
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    objects = [
        thing("CronJob", "nightly"),
        owned(thing("Job", "nightly-1"), "CronJob", "nightly", "batch/v1"),
        owned(thing("Job", "nightly-0", status=done), "CronJob", "nightly", "batch/v1"),
        thing("Job", "migrate"),
        thing("Job", "other"),
        thing("Deployment", "web"),
        owned(thing("ReplicaSet", "web-abc"), "Deployment", "web"),
        thing("Deployment", "static"),
        owned(thing("ReplicaSet", "static-abc"), "Deployment", "static"),
        owned(thing("Deployment", "of-an-operator"), "Widget", "w", "example.com/v1"),
        owned(thing("Deployment", "pooler"), "Pooler", "pooler", "postgresql.cnpg.io/v1"),
        thing("Pooler", "pooler", apiVersion="postgresql.cnpg.io/v1"),
        thing("Pooler", "somebody-elses", apiVersion="example.com/v1"),
    ]
    names = {("Job", "app", "migrate"), ("Deployment", "app", "web"), ("Deployment", "app", "of-an-operator")}
    names |= {("Deployment", "app", "pooler"), ("ReplicaSet", "app", "web-abc")}
    chosen = holds.choose(objects, names)
    assert [each["metadata"]["name"] for each in chosen.held] == [
        "nightly",
        "nightly-1",
        "migrate",
        "web",
        "of-an-operator",
        "pooler",
    ]
    assert [each["metadata"]["name"] for each in chosen.followers] == ["web-abc"]


def test_followers_are_kept_and_forgotten() -> None:
    """A ReplicaSet is scaled to nothing without a note, and a note that was copied onto it is taken off."""
    replica_set = owned(thing("ReplicaSet", "web-abc", spec={"replicas": 2}), "Deployment", "web")
    assert holds.follower_patch(replica_set) == {"spec": {"replicas": 0}}
    replica_set["spec"]["replicas"] = 0
    assert holds.follower_patch(replica_set) is None
    assert holds.forget_patch(replica_set) is None
    replica_set["metadata"]["annotations"] = {holds.ANNOTATION: "{}", "deployment.kubernetes.io/revision": "1"}
    left = applied(replica_set, holds.forget_patch(replica_set))
    assert left["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}


CLUSTER = {
    "kind": "Cluster",
    "metadata": {"namespace": "postgres", "name": "main-db"},
    "spec": {
        "bootstrap": {"initdb": {"secret": {"name": "given"}}},
        "managed": {
            "roles": [{"name": "x", "passwordSecret": {"name": "of-x"}}],
            "services": {"additional": [{"serviceTemplate": {"metadata": {"name": "lb"}}}]},
        },
    },
}
POOLER = {"kind": "Pooler", "metadata": {"namespace": "postgres", "name": "main-db-pooler"}, "spec": {}}
OWNED = {
    "kind": "Secret",
    "metadata": {"namespace": "postgres", "name": "odd", "ownerReferences": [{"kind": "Cluster", "name": "main-db"}]},
}
FOUND = databases([CLUSTER], [POOLER], [OWNED], ["db.example.com"])


def test_what_shows_the_use_of_a_database() -> None:
    """Its services and its pooler's, and the secrets that are its own, that it names, or that carry its names."""
    assert {name for _, name in FOUND.services} == {"main-db-rw", "main-db-ro", "main-db-r", "lb", "main-db-pooler"}
    assert {"main-db-app", "main-db-superuser", "given", "of-x", "odd"} <= {name for _, name in FOUND.secrets}


def pod_of(namespace: str, **container: Any) -> Object:
    """A Deployment with one container."""
    spec = {"template": {"spec": {"containers": [container]}}}
    return {"kind": "Deployment", "metadata": {"name": "web", "namespace": namespace}, "spec": spec}


def environment(value: str) -> dict[str, Any]:
    """A container with one variable."""
    return {"env": [{"name": "URL", "value": value}]}


@pytest.mark.parametrize(
    ("namespace", "value", "uses"),
    [
        ("app", "postgres://u@main-db-rw.postgres:5432/x", True),
        ("app", "main-db-pooler.postgres.svc.cluster.local", True),
        ("app", "main-db-rw", False),
        ("app", "main-db-rw.other.svc", False),
        ("postgres", "host=main-db-rw port=5432", True),
        ("postgres", "main-db-rw.other.svc", False),
        ("postgres", "main-db-rw.postgres.svc", True),
        ("postgres", "not-main-db-rw", False),
        ("postgres", "main-db-rwx", False),
        ("app", "jdbc:postgresql://db.example.com/x", True),
        ("app", "db.example.com.evil.org", False),
        ("app", "", False),
    ],
)
def test_a_services_name_shows_use(namespace: str, value: str, uses: bool) -> None:
    """A whole name that leads to the database from the workload's own namespace is use; any other is not."""
    assert bool(users([pod_of(namespace, **environment(value))], FOUND, [], [])) is uses


def encoded(text: str) -> str:
    """As a secret holds it."""
    return base64.b64encode(text.encode()).decode()


URL = "postgres://main-db-rw.postgres/x"
MAPS: list[Object] = [{"kind": "ConfigMap", "metadata": {"namespace": "app", "name": "settings"}, "data": {"url": URL}}]
SECRETS: list[Object] = [
    {"kind": "Secret", "metadata": {"namespace": "app", "name": "hidden"}, "data": {"url": encoded(URL), "bad": "%"}},
    {"kind": "Secret", "metadata": {"namespace": "app", "name": "written"}, "stringData": {"url": URL}},
]


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "url"}}}]},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "url"}}}]},
        {"envFrom": [{"secretRef": {"name": "written"}}]},
        {"envFrom": [{"configMapRef": {"name": "settings"}}]},
        {"args": ["--database", URL]},
        {"command": ["sh", "-c", f"psql {URL}"]},
    ],
)
def test_what_a_container_reads_shows_use(container: dict[str, Any]) -> None:
    """Names in config maps and secrets that it reads, and in its arguments, count as those in its environment."""
    assert users([pod_of("app", **container)], FOUND, MAPS, SECRETS) == {("Deployment", "app", "web")}
    elsewhere = [{**each, "metadata": {**each["metadata"], "namespace": "other"}} for each in (*MAPS, *SECRETS)]
    if "args" not in container and "command" not in container:
        assert not users([pod_of("app", **container)], FOUND, elsewhere[:1], elsewhere[1:])


@pytest.mark.parametrize(
    "volume",
    [
        {"secret": {"secretName": "hidden"}},
        {"configMap": {"name": "settings"}},
        {"projected": {"sources": [{"secret": {"name": "written"}}]}},
    ],
)
def test_what_is_mounted_shows_use(volume: dict[str, Any]) -> None:
    """So do those that it mounts, in a CronJob too."""
    pod = {"containers": [{}], "volumes": [{"name": "v", **volume}]}
    nightly = thing("CronJob", "nightly", spec={"jobTemplate": {"spec": {"template": {"spec": pod}}}})
    assert users([nightly], FOUND, MAPS, SECRETS) == {("CronJob", "app", "nightly")}


def test_a_clusters_secret_shows_use() -> None:
    """Who reads a cluster's password uses it, wherever it says that the server is."""
    reader = pod_of("postgres", env=[{"name": "P", "valueFrom": {"secretKeyRef": {"name": "main-db-app", "key": "p"}}}])
    assert users([reader], FOUND, [], [])
    assert not users([reader], Databases(frozenset(), frozenset()), [], [])


@pytest.mark.parametrize("spec", [{}, None, {"template": None}, {"template": {"spec": {"containers": None}}}])
def test_odd_workloads_use_nothing(spec: Any) -> None:
    """An object without a pod in it is no user."""
    assert not users([thing("Deployment", "web", spec=spec)], FOUND, [], [])
