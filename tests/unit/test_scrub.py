"""What is done about the old machines in a datastore that was brought back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.cluster.api import connect
from drkit.cluster.volumes import Volume
from drkit.errors import RestoreFailed
from drkit.restore import holds
from drkit.restore.etcd import cluster, scrub
from drkit.restore.etcd.scrub import Asked, select
from drkit.restore.operations import perform
from tests.contract.api_server import MemoryApi, memory_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.kube import Object, Resource

OLD, NEW = "2026-03-01T10:00:00Z", "2026-03-01T12:00:00Z"
ASKED = Asked("restore-1", datetime(2026, 3, 1, 11, tzinfo=UTC))
DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, _, CRON_JOBS, JOBS = scrub.WORKLOADS


def made(kind: Resource, name: str, namespace: str = "app", *, at: str = OLD, **more: Any) -> Object:
    """An object as it is in the cluster."""
    metadata: Object = {"name": name, "uid": f"uid-{name}", "creationTimestamp": at, **more.pop("metadata", {})}
    if kind.namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


def listed(*objects: Object) -> dict[Resource, list[Object]]:
    """As they are listed."""
    return {
        kind: [each for each in objects if (each["kind"], each["apiVersion"]) == (kind.kind, kind.api_version)]
        for kind in scrub.KINDS
    }


def local_volume(name: str, claim: str) -> Object:
    """One of local-path's."""
    spec = {
        "hostPath": {"path": f"/var/lib/rancher/k3s/storage/{name}"},
        "claimRef": {"namespace": "app", "name": claim},
        "capacity": {"storage": "1Gi"},
    }
    return made(scrub.VOLUMES, name, spec=spec, metadata={"finalizers": ["kubernetes.io/pv-protection"]})


def claim_of(name: str, volume: str) -> Object:
    """A claim that is bound to it."""
    metadata = {
        "finalizers": ["kubernetes.io/pvc-protection"],
        "annotations": {"pv.kubernetes.io/bind-completed": "yes", "volume.kubernetes.io/selected-node": "w1"},
    }
    spec = {"volumeName": volume, "storageClassName": "local-path", "accessModes": ["ReadWriteOnce"]}
    return made(scrub.CLAIMS, name, spec=spec, metadata=metadata, status={"capacity": {"storage": "1Gi"}})


def owned(kind: str, name: str) -> Object:
    """Metadata of something that another object controls."""
    return {"ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name, "controller": True}]}


USES = {"spec": {"containers": [{"env": [{"name": "URL", "value": "postgres://db-rw.app/x"}]}]}}
OBJECTS = [
    made(scrub.NODES, "srv1", metadata={"finalizers": ["wrangler.cattle.io/managed-etcd-controller"]}),
    made(scrub.NODES, "new1", at=NEW),
    made(scrub.SECRETS, "srv1.node-password.k3s", "kube-system"),
    made(scrub.SECRETS, "new1.node-password.k3s", "kube-system", at=NEW),
    made(scrub.SECRETS, "mine"),
    made(scrub.LEASES, "srv1", "kube-node-lease", spec={"renewTime": "2026-03-01T10:59:00.000000Z"}),
    made(scrub.LEASES, "k3s", "kube-system", spec={"renewTime": "2026-03-01T12:00:01.123456Z"}),
    made(scrub.ATTACHMENTS, "csi-1", metadata={"finalizers": ["external-attacher/csi"]}),
    made(scrub.CSI_NODES, "srv1"),
    made(scrub.PODS, "web-abc-1", spec={"nodeName": "w1"}, metadata=owned("ReplicaSet", "web-abc")),
    made(scrub.PODS, "web-abc-2", spec={}, metadata=owned("ReplicaSet", "web-abc")),
    made(scrub.PODS, "by-hand", spec={"nodeName": "w1"}),
    made(scrub.PODS, "waiting", spec={}),
    made(scrub.PODS, "of-now", spec={"nodeName": "new1"}, at=NEW),
    made(scrub.CLUSTERS, "db", spec={}),
    made(DEPLOYMENTS, "web", spec={"replicas": 2, "template": USES}),
    made(REPLICA_SETS, "web-abc", spec={"replicas": 2, "template": USES}, metadata=owned("Deployment", "web")),
    made(DEPLOYMENTS, "static", spec={"replicas": 3}),
    made(CRON_JOBS, "nightly", spec={"suspend": False}),
    local_volume("pv-1", "files"),
    claim_of("files", "pv-1"),
    local_volume("pv-db", "db-1"),
    claim_of("db-1", "pv-db"),
    made(scrub.VOLUMES, "network", spec={"csi": {}, "claimRef": {"namespace": "app", "name": "far"}}),
    made(scrub.CLAIMS, "far", spec={"volumeName": "network"}),
]
LEFT = Asked("restore-1", ASKED.sealed, frozenset({("app", "db-1")}))


def done(*objects: Object, asked: Asked = LEFT) -> list[tuple[str, str]]:
    """What is done, in order."""
    return [(each.verb, each.about) for each in select(listed(*objects), asked).operations]


def test_what_is_of_the_old_machines_goes() -> None:
    """Nodes, their passwords, leases, attachments and pods go; what is new, or of no machine, stays."""
    found = {about for verb, about in done(*OBJECTS) if verb == "delete"}
    assert found == {
        "Node srv1",
        "Secret kube-system/srv1.node-password.k3s",
        "Lease kube-node-lease/srv1",
        "VolumeAttachment csi-1",
        "CSINode srv1",
        "Pod app/web-abc-1",
        "Pod app/web-abc-2",
        "Pod app/by-hand",
        "PersistentVolumeClaim app/files",
        "PersistentVolume pv-1",
    }


def test_the_restore_is_noted_first_and_workloads_sleep_before_anything_goes() -> None:
    """Whoever starts k3s after a crash in the middle finds nothing awake that must not be."""
    found = done(*OBJECTS)
    assert found[:4] == [
        ("apply", "ConfigMap kube-system/drkit-restore"),
        ("patch", "Deployment app/web"),
        ("patch", "CronJob app/nightly"),
        ("patch", "ReplicaSet app/web-abc"),
    ]
    assert ("patch", "Deployment app/static") not in found


def test_who_mounts_a_volume_that_is_filled_sleeps() -> None:
    """Its workload is held until its files are there; others that mount nothing of the kind are not."""
    mounts = {"spec": {"volumes": [{"name": "f", "persistentVolumeClaim": {"claimName": "files"}}]}}
    workload = made(DEPLOYMENTS, "media", spec={"replicas": 1, "template": mounts})
    asked = Asked("restore-1", ASKED.sealed, LEFT.claims, filled=frozenset({("app", "files")}))
    assert ("patch", "Deployment app/media") in done(*OBJECTS, workload, asked=asked)
    assert ("patch", "Deployment app/media") not in done(*OBJECTS, workload)
    assert ("patch", "Deployment app/static") not in done(*OBJECTS, workload, asked=asked)


def test_finalizers_do_not_hold_the_old_ones() -> None:
    """What waits for a controller that does not run, or for a machine that is gone, waits no more."""
    found = done(*OBJECTS)
    assert found.index(("patch", "Node srv1")) == found.index(("delete", "Node srv1")) - 1
    assert ("patch", "CSINode srv1") not in found


def test_what_is_lost_is_said() -> None:
    """A claim on an old disk is lost unless somebody takes care of it, and so is a pod that nothing makes again."""
    selected = select(listed(*OBJECTS), LEFT)
    assert selected.lost == (Volume("app", "files", "1Gi", "local-path", ()),)
    assert selected.said == ("Pod app/by-hand died with w1, and nothing makes it again: apply it anew",)
    everything = select(listed(*OBJECTS), ASKED)
    assert [each.claim for each in everything.lost] == ["db-1", "files"]


def test_what_waits_for_an_old_node_is_said() -> None:
    """A workload that was bound to one node by its name has nowhere to run where that name is gone."""
    pod = {"spec": {"nodeSelector": {"kubernetes.io/hostname": "w1"}}}
    bound = made(DEPLOYMENTS, "bound", spec={"template": pod})
    asked = Asked("restore-1", ASKED.sealed, nodes=frozenset({"new1"}))
    (said,) = select(listed(bound), asked).said
    assert said.startswith("Deployment app/bound runs on the node w1 alone")
    assert not select(listed(bound), Asked("restore-1", ASKED.sealed, nodes=frozenset({"w1"}))).said


def test_a_lost_claim_is_made_anew() -> None:
    """It is noted before it goes, and applied without its volume after."""
    operations = select(listed(*OBJECTS), LEFT).operations
    noted = json.loads((operations[0].content or {})["data"]["claims"])
    assert list(noted) == ["app/files"]
    again = next(each for each in operations if each.verb == "apply" and each.about.startswith("PersistentVolumeClaim"))
    assert again.content == noted["app/files"]
    assert noted["app/files"]["spec"] == {"storageClassName": "local-path", "accessModes": ["ReadWriteOnce"]}
    assert "annotations" not in noted["app/files"]["metadata"]


def test_a_claim_that_was_never_bound_forgets_its_node() -> None:
    """A claim that waited for a disk on an old node waits for one anywhere."""
    claim = made(scrub.CLAIMS, "new", spec={}, metadata={"annotations": {"volume.kubernetes.io/selected-node": "w1"}})
    assert ("patch", "PersistentVolumeClaim app/new") in done(claim)


def test_what_was_being_deleted_goes_at_once() -> None:
    """What waited for an old kubelet or controller to let it go waits no more, and is neither mourned nor made anew."""
    node = made(scrub.NODES, "srv1", metadata={"deletionTimestamp": OLD, "finalizers": ["a.example/f"]})
    job = {**owned("Job", "nightly-1"), "deletionTimestamp": OLD, "finalizers": ["batch.kubernetes.io/job-tracking"]}
    pod = made(scrub.PODS, "nightly-1-abc", spec={"nodeName": "w1"}, metadata=job)
    alone = made(scrub.PODS, "by-hand", spec={"nodeName": "w1"}, metadata={"deletionTimestamp": OLD})
    claim = claim_of("files", "pv-1")
    claim["metadata"]["deletionTimestamp"] = OLD
    selected = select(listed(node, pod, alone, claim, local_volume("pv-1", "files")), LEFT)
    found = [(each.verb, each.about) for each in selected.operations]
    for about in ("Node srv1", "Pod app/nightly-1-abc", "PersistentVolumeClaim app/files"):
        assert found.index(("patch", about)) == found.index(("delete", about)) - 1
    assert ("delete", "Pod app/by-hand") in found
    assert ("apply", "PersistentVolumeClaim app/files") not in found
    assert (selected.lost, selected.said) == ((), ())


def test_an_earlier_restores_note_is_replaced() -> None:
    """A cluster that had been restored before is now of this restore."""
    note = made(scrub.CONFIG_MAPS, "drkit-restore", "kube-system", data={"restore": "another", "claims": "{}"})
    (operation,) = select(listed(note), LEFT).operations
    assert (operation.content or {})["data"]["restore"] == "restore-1"


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    """An API with all of these objects."""
    with memory_api() as api:
        api.resources = [
            type(kind)(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced, frozenset({"list"}))
            for kind in scrub.KINDS
            if kind is not scrub.POOLERS
        ]
        for kind, objects in listed(*json.loads(json.dumps(OBJECTS))).items():
            api.objects[kind.path] = objects
        yield api


def state(memory: MemoryApi) -> dict[str, Any]:
    """What is in it, by path and name, without what each making of an object gives it."""
    return {
        f"{path} {each['metadata']['name']}": {**each, "metadata": {**each["metadata"], "uid": ""}}
        for path, objects in memory.objects.items()
        for each in objects
    }


def test_scrubbing_ends_where_it_began_to_be_needless(memory: MemoryApi) -> None:
    """After one call nothing is left to do, and another one changes nothing."""
    api = connect(memory.access)
    assert cluster.restore_of(api) == ""
    assert [each.claim for each in cluster.scrub(api, LEFT).lost] == ["files"]
    assert cluster.restore_of(api) == "restore-1"
    after, asked = state(memory), len(memory.requests)
    assert cluster.scrub(api, LEFT).operations == ()
    assert state(memory) == after
    assert not [each for each in memory.requests[asked:] if not each.startswith("GET")]
    assert "/api/v1/persistentvolumeclaims files" in after


@given(st.integers(1, 30))
def test_a_scrub_that_was_cut_short_goes_on(requests: int) -> None:
    """However many changes were made before a crash, the next call ends the same."""
    ends = []
    for cut in (None, requests):
        with memory_api() as memory:
            memory.resources = [
                type(kind)(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced, frozenset({"list"}))
                for kind in scrub.KINDS
            ]
            for kind, objects in listed(*json.loads(json.dumps(OBJECTS))).items():
                memory.objects[kind.path] = objects
            api = connect(memory.access)
            if cut is not None:
                for operation in select(listed(*json.loads(json.dumps(OBJECTS))), LEFT).operations[:cut]:
                    perform(api, operation)
            cluster.scrub(api, LEFT)
            ends.append(state(memory))
    assert ends[0] == ends[1]


def test_releasing_gives_back_what_was_held(memory: MemoryApi) -> None:
    """After a release all workloads are as they were; a second one changes nothing."""
    api = connect(memory.access)
    cluster.scrub(api, LEFT)
    (web,) = [each for each in memory.objects[DEPLOYMENTS.path] if each["metadata"]["name"] == "web"]
    assert (web["spec"]["replicas"], holds.is_held(web)) == (0, True)
    (follower,) = memory.objects[REPLICA_SETS.path]
    follower["metadata"]["annotations"] = dict(web["metadata"]["annotations"])  # as the controller of Deployments does
    assert cluster.release(api) == ["Deployment app/web", "CronJob app/nightly"]
    assert (web["spec"]["replicas"], web["metadata"].get("annotations")) == (2, None)
    assert not follower["metadata"]["annotations"]
    assert memory.objects[CRON_JOBS.path][0]["spec"] == {"suspend": False}
    assert cluster.release(api) == []


def test_what_comes_back_each_time_is_said(memory: MemoryApi) -> None:
    """Where something else goes on making what must go, that is an error and no loop without end."""

    def again(_: str) -> None:
        if not memory.objects[scrub.CSI_NODES.path]:
            memory.add(scrub.CSI_NODES, made(scrub.CSI_NODES, "srv1"))

    memory.on_request = again
    with pytest.raises(RestoreFailed, match="CSINode srv1"):
        cluster.scrub(connect(memory.access), LEFT)


def test_labels_and_readiness(memory: MemoryApi) -> None:
    """Labels are set on the node; one that is not ready, or not there, is waited for in vain.

    One that lacks nothing but the pods' network will do where that is applied later.
    """
    api = connect(memory.access)
    cluster.set_labels(api, "new1", {"node-role.kubernetes.io/worker": "true"})
    node = memory.objects[scrub.NODES.path][1]
    assert node["metadata"]["labels"] == {"node-role.kubernetes.io/worker": "true"}
    with pytest.raises(RestoreFailed, match="no node"):
        cluster.set_labels(api, "nobody", {"a": "b"})
    with pytest.raises(RestoreFailed, match="new1, nobody"):
        cluster.wait_ready(api, ["new1", "nobody"], 0, pause=lambda _: None)
    said = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:..."
    node["status"] = {"conditions": [{"type": "Ready", "status": "False", "message": said}]}
    cluster.wait_ready(api, ["new1"], 0, network=False, pause=lambda _: None)
    with pytest.raises(RestoreFailed, match="new1"):
        cluster.wait_ready(api, ["new1"], 0, pause=lambda _: None)
    node["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    cluster.wait_ready(api, ["new1"], 0, pause=lambda _: None)
