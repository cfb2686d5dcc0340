"""A cluster as its API lists it, seen as a drill sees it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drkit.drill.snapshot import Node, Pod, Pooler, Postgres, Service, from_objects

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def _node(name: str, address: str, *roles: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {f"node-role.kubernetes.io/{role}": "true" for role in roles}},
        "spec": spec,
        "status": {
            **READY,
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "ExternalIP", "address": "198.51.100.7"},
                {"type": "InternalIP", "address": address},
            ],
            "nodeInfo": {"kubeletVersion": "v1.34.4+k3s1"},
        },
    }


def _pod(name: str, node: str, labels: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "postgres", "name": name, "labels": labels, **metadata},
        "spec": {"nodeName": node},
        "status": {**READY, "phase": "Running", "podIP": "10.42.1.5"},
    }


def test_nodes_are_seen_with_roles_and_addresses() -> None:
    """Internal addresses come first, cordoned and unready nodes are told, and the API is where the servers are."""
    worker = _node("w1", "10.0.0.3", unschedulable=True, podCIDR="10.42.1.0/24")
    worker["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    server = _node("mgr", "10.0.0.2", "control-plane", "etcd", podCIDRs=["10.42.0.0/24"])
    found = from_objects([worker, server], [])
    version = "v1.34.4+k3s1"
    assert found.nodes == (
        Node(
            "mgr",
            ("control-plane", "etcd"),
            ("10.0.0.2", "198.51.100.7"),
            pod_ranges=("10.42.0.0/24",),
            version=version,
        ),
        Node(
            "w1",
            (),
            ("10.0.0.3", "198.51.100.7"),
            ready=False,
            schedulable=False,
            pod_ranges=("10.42.1.0/24",),
            version=version,
        ),
    )
    assert [each.is_server for each in found.nodes] == [True, False]
    assert found.api == ("10.0.0.2:6443",)


def test_postgresql_is_seen_with_its_primary_and_pooler() -> None:
    """A cluster's own pods are told from those of its pooler and of the job that made it, and from those that go."""
    mine = {"cnpg.io/cluster": "main-db"}
    pods = [
        _pod("main-db-2", "w2", mine),
        _pod("main-db-1", "w1", mine),
        _pod("main-db-1-initdb", "w1", mine, ownerReferences=[{"kind": "Job"}]),
        _pod("main-db-pooler-a", "w1", {**mine, "cnpg.io/poolerName": "main-db-pooler"}),
        _pod(
            "main-db-pooler-b", "w2", {"cnpg.io/poolerName": "main-db-pooler"}, deletionTimestamp="2026-11-22T00:00:00Z"
        ),
    ]
    cluster = {
        "metadata": {"namespace": "postgres", "name": "main-db"},
        "spec": {"instances": 2},
        "status": {"currentPrimary": "main-db-1", "targetPrimary": "main-db-1", "readyInstances": 2},
    }
    pooler = {"metadata": {"namespace": "postgres", "name": "main-db-pooler"}, "spec": {"cluster": {"name": "main-db"}}}
    service = {
        "metadata": {"namespace": "postgres", "name": "main-db-rw"},
        "spec": {"clusterIP": "10.43.0.9", "ports": [{"port": 5432}]},
    }
    headless = {"metadata": {"namespace": "postgres", "name": "headless"}, "spec": {"clusterIP": "None"}}
    found = from_objects([], pods, [cluster], [pooler], [service, headless])
    seen = Postgres("postgres", "main-db", "main-db-1", ("main-db-1", "main-db-2"), 2, 2)
    assert found.postgres == (seen,)
    assert found.poolers == (Pooler("postgres", "main-db-pooler", "main-db", "rw"),)
    assert found.services == (Service("postgres", "main-db-rw", "10.43.0.9", (5432,)),)
    assert [each.name for each in found.pods_of_pooler(found.poolers_of(seen)[0])] == ["main-db-pooler-a"]
    assert found.pod("postgres", "main-db-1") == Pod("postgres", "main-db-1", "w1", labels=mine, address="10.42.1.5")


def test_a_cluster_that_is_failing_over_has_no_primary() -> None:
    """While the operator wants another primary than the one there is, nobody is hit as the primary."""
    status = {"currentPrimary": "main-db-1", "targetPrimary": "pending"}
    cluster = {"metadata": {"namespace": "postgres", "name": "main-db"}, "status": status}
    assert from_objects([], [], [cluster]).postgres[0].primary == ""


def test_the_api_is_where_its_service_leads_to() -> None:
    """An API on another port, or at addresses that are no node's, is seen as the cluster has it."""
    slices = [
        {
            "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "ports": [{"port": 7443}],
            "endpoints": [{"addresses": ["10.0.0.3", "fd00::2"]}],
        },
        {
            "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "other"}},
            "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.42.0.3"]}],
        },
    ]
    assert from_objects([], [], endpoint_slices=slices).api == ("10.0.0.3:7443", "[fd00::2]:7443")


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "name", "labels", "spec", "status", "conditions", "addresses", "ports", "endpoints"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "ports", "endpoints"]), _JSON))
def test_no_object_is_a_surprise(strange: dict[str, Any]) -> None:
    """Whatever shape an API's answer has, it is seen as far as it can be."""
    every = [strange]
    from_objects(every, every, every, every, every, every)
