"""The rights that the files beside the cluster's code give, and what the code asks for."""

from __future__ import annotations

import pytest

from drkit.checks import rights
from drkit.checks.rights import Right
from drkit.cluster.api import connect
from drkit.drill import lease, look
from drkit.drill.watch.follow import KINDS, Kind
from tests.contract.api_rights import asked, covers
from tests.contract.api_server import memory_api

PROXIES = (
    Right("get", "", "pods/exec", "kube-system"),
    Right("create", "", "pods/exec", "kube-system"),
    Right("get", "", "pods/attach", "kube-system"),
    Right("get", "", "pods/portforward", "kube-system"),
    Right("get", "", "pods/proxy", "kube-system"),
    Right("get", "", "services/proxy", "kube-system"),
    Right("get", "", "nodes/proxy"),
    Right("create", "", "serviceaccounts/token", "kube-system"),
)
"""What lets one act through the API as somebody else: a WebSocket to a program, a port or a kubelet is got."""
FILES = (rights.READING, rights.DATABASES, rights.DRILLS)
HURTING = (
    Right("delete", "", "pods", "web"),
    Right("create", "", "pods/eviction", "web"),
    Right("create", "", "pods/exec", "postgres"),
    Right("patch", "", "nodes"),
)


@pytest.mark.parametrize("path", look.PATHS.values(), ids=look.PATHS.keys())
def test_a_drill_may_list_what_it_looks_at(path: str) -> None:
    """Each kind that makes a drill's snapshot is in the rules."""
    assert covers(rights.read(rights.DRILLS), asked("GET", path))


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_drill_may_watch_what_it_follows(kind: Kind) -> None:
    """Each kind whose changes are an event of the record is in the rules."""
    path = kind.path
    assert covers(rights.read(rights.DRILLS), asked("GET", path))
    assert covers(rights.read(rights.DRILLS), asked("GET", f"{path}?watch=true"))


@pytest.mark.parametrize("wanted", HURTING, ids=str)
def test_only_who_drills_may_hurt(wanted: Right) -> None:
    """Reading the cluster gives none of the rights that a fault needs, and drilling gives them all."""
    assert covers(rights.read(rights.DRILLS), wanted)
    assert not covers(rights.read(rights.READING), wanted)


def test_the_lease_is_the_only_one() -> None:
    """Who drills may not take other leases, such as those by which nodes say that they live."""
    mine = f"/apis/coordination.k8s.io/v1/namespaces/{lease.NAMESPACE}/leases"
    granted = rights.read(rights.DRILLS)
    assert covers(granted, asked("POST", mine))
    assert covers(granted, asked("PATCH", f"{mine}/{lease.NAME}"))
    assert not covers(granted, asked("PATCH", mine.replace(lease.NAMESPACE, "kube-node-lease") + "/k3s-1"))


@pytest.mark.parametrize("wanted", PROXIES, ids=str)
def test_reading_the_cluster_reaches_nothing_behind_the_api(wanted: Right) -> None:
    """Every kind can be listed, and nothing be run, attached or connected to; drills run programs in pods alone."""
    assert covers(rights.read(rights.READING), Right("list", "of.any", "kind", "kube-system"))
    assert not covers(rights.read(rights.READING), wanted)
    assert covers(rights.read(rights.DRILLS), wanted) is (wanted.resource == "pods/exec")


@pytest.mark.parametrize("file", FILES)
def test_no_file_gives_away_the_cluster(file: str) -> None:
    """None of the rules lets drkit give itself others, or change any object at all."""
    granted = rights.read(file)
    assert granted
    for verb in ("create", "update", "patch", "delete", "escalate", "bind", "impersonate"):
        assert not covers(granted, Right(verb, "rbac.authorization.k8s.io", "clusterrolebindings"))
        assert not covers(granted, Right(verb, "", "secrets", "kube-system"))


def test_the_api_is_asked_for_each_right_by_its_name() -> None:
    """What it denies is named, and nothing else; no object is made by asking."""
    wanted = rights.read(rights.DRILLS)
    with memory_api() as api:
        assert rights.lacking(connect(api.access), wanted) == []
        api.granted = tuple(each for each in wanted if each.resource != "pods/eviction")
        missing = rights.lacking(connect(api.access), wanted)
    assert [str(each) for each in missing] == ["create pods/eviction"]
    assert {request.split("?")[0] for request in api.requests} == {f"POST {rights.PATH}"}
