"""Which claims are meant, where their volumes are, who mounts them, and which node gets a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from drkit.cluster import claims
from drkit.config.model import Volumes
from drkit.errors import RestoreFailed, SourceFailed
from drkit.restore.filling import choose
from drkit.restore.volume_users import users

if TYPE_CHECKING:
    from drkit.cluster.kube import Object


def claim(namespace: str, name: str, volume: str = "", **labels: str) -> Object:
    """A claim."""
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}, "spec": {"volumeName": volume}}


def volume(**spec: Any) -> Object:
    """A volume on the disk of one node, unless it says otherwise."""
    expression = {"key": claims.HOST, "operator": "In", "values": ["w1"]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return {"metadata": {"name": "pv"}, "spec": {"nodeAffinity": affinity, **spec}}


def test_claims_are_chosen_by_name_and_by_labels() -> None:
    """One that is named need not be there; labels are of one namespace; who is meant twice goes to all the vaults."""
    there = [claim("a", "one", app="web"), claim("a", "two", app="web", tier="x"), claim("b", "one", app="web")]
    entries = [
        Volumes(namespace="a", labels={"app": "web"}),
        Volumes(claim="a/two", vaults=["offsite", "cluster"]),
        Volumes(claim="c/gone"),
    ]
    assert claims.chosen(entries, there) == {
        ("a", "one"): ("cluster",),
        ("a", "two"): ("cluster", "offsite"),
        ("c", "gone"): ("cluster",),
    }
    assert list(claims.chosen([Volumes(namespace="a")], there)) == [("a", "one"), ("a", "two")]


@pytest.mark.parametrize("spec", [{"hostPath": {"path": "/srv/pv/"}}, {"local": {"path": "/srv/pv"}}])
def test_a_volume_of_one_node_is_found(spec: Object) -> None:
    """As local-path makes it, with either kind of path."""
    key = ("a", "one")
    assert claims.place(key, {key: claim(*key, "pv")}, {"pv": volume(**spec)}) == claims.Place("w1", "/srv/pv")


@pytest.mark.parametrize(
    "spec",
    [
        {"nfs": {"server": "s", "path": "/srv"}},
        {"hostPath": {"path": "/srv/pv"}, "nodeAffinity": None},
        {"hostPath": {"path": "srv"}},
        {"hostPath": {"path": "/srv//pv"}},
        {"hostPath": {"path": "/srv/./pv"}},
    ],
)
def test_what_is_not_on_one_nodes_disk_is_refused(spec: Object) -> None:
    """A volume of the network, one of no known node, and a path that may lead anywhere."""
    key = ("a", "one")
    with pytest.raises(SourceFailed):
        claims.place(key, {key: claim(*key, "pv")}, {"pv": volume(**spec)})


def test_who_mounts_a_claim_is_found() -> None:
    """By the claim's name in the template, or by what a StatefulSet calls those of its pods; in the same namespace."""

    def workload(kind: str, name: str, namespace: str = "a", **spec: Any) -> Object:
        return {"kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec}

    pod = {"spec": {"volumes": [{"name": "x"}, {"name": "d", "persistentVolumeClaim": {"claimName": "files"}}]}}
    workloads = [
        workload("Deployment", "web", template=pod),
        workload("Deployment", "web", "b", template=pod),
        workload("CronJob", "clean", jobTemplate={"spec": {"template": pod}}),
        workload("StatefulSet", "queue", volumeClaimTemplates=[{"metadata": {"name": "data"}}]),
        workload("StatefulSet", "queue-2", volumeClaimTemplates=[{"metadata": {"name": "data"}}]),
        workload("Deployment", "other", template={"spec": {}}),
    ]
    found = users(workloads, [("a", "files"), ("a", "data-queue-0"), ("a", "data-queue-2-x")])
    assert found == {("Deployment", "a", "web"), ("CronJob", "a", "clean"), ("StatefulSet", "a", "queue")}


def test_the_old_nodes_heir_gets_the_volume() -> None:
    """Else the first node that takes pods; where none does, that is said."""
    nodes = [
        {"metadata": {"name": "mgr"}, "spec": {"taints": [{"effect": "NoSchedule"}]}},
        {"metadata": {"name": "w2"}, "spec": {"taints": [{"effect": "PreferNoSchedule"}]}},
        {"metadata": {"name": "w1"}, "spec": {"unschedulable": True}},
    ]
    assert choose(nodes, "w1") == "w1"
    assert choose(nodes, "gone") == "w2"
    with pytest.raises(RestoreFailed, match="no node takes pods"):
        choose(nodes[:1], "")
