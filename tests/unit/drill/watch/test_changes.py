"""What changed between two looks at a cluster."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.drill import record
from drkit.drill.watch.changes import GONE, Change, changes
from drkit.drill.watch.views import (
    Endpoint,
    NodeView,
    PodView,
    PostgresView,
    SliceView,
    TargetView,
    View,
    endpoint_slice,
    node,
    pod,
    postgres,
    targets,
)
from drkit.providers.port import HEALTHY, UNHEALTHY, UNKNOWN, TargetHealth

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = st.sampled_from(["a", "b", "c"])
TEXT = st.sampled_from(["", "x", "y"])
STAMPS = st.sampled_from(["", "2026-03-01T12:00:00Z"])
TAINTS = st.dictionaries(st.sampled_from(["t:NoExecute", "u:NoSchedule"]), STAMPS).map(
    lambda found: frozenset(found.items())
)
NODES = st.builds(NodeView, NAMES, st.booleans(), STAMPS, TAINTS)
PODS = st.builds(PodView, NAMES, st.sampled_from(["1", "2"]), TEXT, st.booleans(), STAMPS, TEXT, st.booleans(), STAMPS)
ENDPOINTS = st.builds(Endpoint, NAMES, TEXT, TEXT)
SLICES = st.builds(SliceView, NAMES, st.sampled_from(["s", "t"]), st.frozensets(ENDPOINTS, max_size=3), STAMPS)
POSTGRES = st.builds(PostgresView, NAMES, TEXT, TEXT, TEXT, TEXT, STAMPS, STAMPS)
TARGETS = st.builds(TargetView, NAMES, st.sampled_from([HEALTHY, UNHEALTHY, UNKNOWN]))


def looks(views: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, View]]:
    """Looks at one kind."""
    return st.lists(views, max_size=4).map(lambda found: {each.name: each for each in found})


KINDS = [NODES, PODS, SLICES, POSTGRES, TARGETS]
Essence = dict[tuple[str, ...], Any]
PAIRS = st.one_of(*[st.tuples(looks(kind), looks(kind)) for kind in KINDS])


def essence(look: Mapping[str, View]) -> Essence:
    """What of a look the words of the record can tell."""
    found: Essence = {}
    for view in look.values():
        match view:
            case NodeView():
                found["node", view.name] = view.ready
                found |= {("taint", view.name, taint): True for taint, _ in view.taints}
            case PodView():
                found["pod", view.name] = (view.uid, view.node, view.ready, view.leaving)
            case SliceView():
                found |= {("endpoint", view.service, *_of(each)): True for each in view.endpoints}
            case PostgresView():
                found["primary", view.name] = view.primary
                found["phase", view.name] = (view.phase, view.ready)
            case TargetView():
                found["target", view.name] = view.status == HEALTHY
    return found


def _of(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.address, endpoint.pod, endpoint.node


def replayed(before: Essence, told: list[Change]) -> Essence:
    """``before``, with the changes made to it."""
    found = dict(before)
    for each in told:
        kind = each.what.partition("-")[0]
        {"node": _replay_node, "pod": _replay_pod, "endpoint": _replay_endpoint}.get(kind, _replay_word)(found, each)
    return found


def _replay_node(found: Essence, change: Change) -> None:
    match change.what:
        case record.NODE_TAINTED:
            found["taint", change.who, change.more["taint"]] = True
        case record.NODE_UNTAINTED:
            del found["taint", change.who, change.more["taint"]]
        case _:
            found["node", change.who] = change.what == record.NODE_READY
    if GONE in change.more:
        for key in [key for key in found if key[:2] in {("node", change.who), ("taint", change.who)}]:
            del found[key]


def _replay_endpoint(found: Essence, change: Change) -> None:
    more = change.more
    key = ("endpoint", change.who, more["address"], more.get("pod", ""), more.get("node", ""))
    assert (key in found) == (change.what == record.ENDPOINT_REMOVED)
    found[key] = True
    if change.what == record.ENDPOINT_REMOVED:
        del found[key]


def _replay_word(found: Essence, change: Change) -> None:
    match change.what:
        case record.NEW_PRIMARY:
            assert found.get(("primary", change.who), "") == change.more["from"]
            found["primary", change.who] = change.more["to"]
        case record.CLUSTER_PHASE:
            found["phase", change.who] = (change.more["phase"], change.more["ready"])
        case record.TARGET_HEALTHY | record.TARGET_UNHEALTHY:
            found["target", change.who] = change.what == record.TARGET_HEALTHY
            if GONE in change.more:
                del found["target", change.who]


def _replay_pod(found: Essence, change: Change) -> None:
    key, more = ("pod", change.who), change.more
    if change.what == record.POD_CREATED:
        assert key not in found
        found[key] = (more["uid"], more.get("node", ""), False, False)
        return
    uid, where, ready, leaving = found[key]
    assert uid == more["uid"]
    match change.what:
        case record.POD_GONE:
            del found[key]
        case record.POD_SCHEDULED:
            found[key] = (uid, more.get("node", ""), ready, leaving)
        case record.POD_READY | record.POD_NOT_READY:
            found[key] = (uid, where, change.what == record.POD_READY, leaving)
        case record.POD_DELETED:
            found[key] = (uid, where, ready, True)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_equal_looks_differ_in_nothing(kind: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """Where nothing changed, nothing is told."""
    look = data.draw(looks(kind))
    assert changes(look, dict(look)) == []


def _tellable(pair: tuple[dict[str, View], dict[str, View]]) -> bool:
    """What Kubernetes never does: a pod that was to go is kept, a database cluster is taken back or goes silently."""
    before, after = pair
    for name, old in before.items():
        new = after.get(name)
        if isinstance(old, PodView) and isinstance(new, PodView) and old.uid == new.uid and old.leaving > new.leaving:
            return False
        if isinstance(old, PostgresView) and new is None:
            return False
    return True


@given(pair=PAIRS.filter(_tellable))
def test_the_changes_lead_from_one_look_to_the_other(pair: tuple[dict[str, View], dict[str, View]]) -> None:
    """Whoever makes the changes that were told to what was there before has what is there after."""
    before, after = pair
    told = changes(before, after)
    assert _spoken(replayed(_spoken(essence(before)), told)) == _spoken(essence(after))


def _spoken(found: Essence) -> Essence:
    """The same, without what says nothing: a database cluster as it is before anything is known of it."""
    blank: Essence = {("primary",): "", ("phase",): ("", "")}
    return {key: value for key, value in found.items() if blank.get(key[:1]) != value}


def test_a_service_keeps_its_endpoint_in_another_slice() -> None:
    """An endpoint that moves from one slice of its service to another was neither removed nor added."""
    one = Endpoint("10.42.1.5", "web-1", "w1")
    before: dict[str, View] = {"s-1": SliceView("s-1", "a/web", frozenset({one})), "s-2": SliceView("s-2", "a/web")}
    after: dict[str, View] = {"s-1": SliceView("s-1", "a/web"), "s-2": SliceView("s-2", "a/web", frozenset({one}))}
    assert changes(before, after) == []


def test_a_nodes_story() -> None:
    """A node that is lost: not ready since when, its taints and when they came."""
    ready = _node("True", "2026-03-01T11:00:00Z")
    lost = _node("Unknown", "2026-03-01T12:00:10Z", ("node.kubernetes.io/unreachable", "NoExecute"))
    assert changes(_named(node(ready)), _named(node(lost))) == [
        Change(record.NODE_NOT_READY, "w1", {}, "2026-03-01T12:00:10Z"),
        Change(
            record.NODE_TAINTED, "w1", {"taint": "node.kubernetes.io/unreachable:NoExecute"}, "2026-03-01T12:00:15Z"
        ),
    ]
    assert [each.what for each in changes(_named(node(lost)), _named(node(ready)))] == [
        record.NODE_READY,
        record.NODE_UNTAINTED,
    ]


def _node(ready: str, since: str, *taints: tuple[str, str]) -> dict[str, Any]:
    return {
        "metadata": {"name": "w1"},
        "spec": {
            "taints": [{"key": key, "effect": effect, "timeAdded": "2026-03-01T12:00:15Z"} for key, effect in taints]
        },
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]},
    }


def _named(view: View) -> dict[str, View]:
    return {view.name: view}


def test_when_a_deletion_was_asked_for() -> None:
    """The API notes when a pod is to be gone: the time that it gets to end is taken off; its Deployment is named."""
    thing: dict[str, Any] = {
        "metadata": {
            "namespace": "docfast",
            "name": "docfast-5d9-x1",
            "uid": "u1",
            "labels": {"pod-template-hash": "5d9"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "docfast-5d9", "controller": True}],
        },
        "spec": {"nodeName": "w1"},
        "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T11:00:00Z"}]},
    }
    before = pod(thing)
    thing["metadata"] |= {"deletionTimestamp": "2026-03-01T12:00:45Z", "deletionGracePeriodSeconds": 30}
    assert changes(_named(before), _named(pod(thing))) == [
        Change(
            record.POD_DELETED,
            "docfast/docfast-5d9-x1",
            {"node": "w1", "owner": "Deployment/docfast", "uid": "u1"},
            "2026-03-01T12:00:15Z",
        )
    ]


def test_an_endpoint_that_is_not_ready_leads_nowhere() -> None:
    """An endpoint counts while it is ready, and where nobody says otherwise; a removal has the slice's own time."""
    ready = endpoint_slice(_slice([{"addresses": ["10.42.1.5"]}, {"addresses": ["10.42.2.6"]}], "12:00:00"))
    fewer: list[dict[str, Any]] = [
        {"addresses": ["10.42.1.5"], "conditions": {"ready": False}},
        {"addresses": ["10.42.2.6"]},
    ]
    assert changes(_named(ready), _named(endpoint_slice(_slice(fewer, "12:00:11")))) == [
        Change(record.ENDPOINT_REMOVED, "docfast/docfast", {"address": "10.42.1.5"}, "2026-03-01T12:00:11Z")
    ]


def _slice(endpoints: list[dict[str, Any]], written: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "docfast",
            "name": "docfast-abc",
            "labels": {"kubernetes.io/service-name": "docfast"},
            "managedFields": [{"time": f"2026-03-01T{written}Z"}, {"manager": "without a time"}],
        },
        "endpoints": endpoints,
    }


def test_a_promotions_story() -> None:
    """A failover: its operator wants another primary, then there is one, then the cluster is whole again."""
    steps = [
        ("main-db-1", "main-db-1", "Cluster in healthy state", 2),
        ("main-db-1", "pending", "Failing over", 1),
        ("main-db-1", "main-db-2", "Failing over", 1),
        ("main-db-2", "main-db-2", "Failing over", 1),
        ("main-db-2", "main-db-2", "Cluster in healthy state", 2),
    ]
    seen = [postgres(_cluster(*step)) for step in steps]
    told = [
        (each.what, each.more.get("from"), each.more.get("to"), each.stamp)
        for before, after in pairwise(seen)
        for each in changes(_named(before), _named(after))
        if each.what != record.CLUSTER_PHASE
    ]
    assert told == [
        (record.FAILING_OVER, "main-db-1", "pending", "of pending"),
        (record.FAILING_OVER, "main-db-1", "main-db-2", "of main-db-2"),
        (record.NEW_PRIMARY, "main-db-1", "main-db-2", "of main-db-2"),
    ]


def _cluster(primary: str, target: str, phase: str, ready: int) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "postgres", "name": "main-db"},
        "spec": {"instances": 2},
        "status": {
            "currentPrimary": primary,
            "targetPrimary": target,
            "phase": phase,
            "readyInstances": ready,
            "currentPrimaryTimestamp": f"of {primary}",
            "targetPrimaryTimestamp": f"of {target}",
        },
    }


def test_a_target_that_was_not_asked_yet_is_not_healthy() -> None:
    """Only a balancer's own word makes a target healthy; from unknown to unhealthy is no change of that."""
    found = [targets([TargetHealth("w1", 443, status)]) for status in (UNKNOWN, UNHEALTHY, HEALTHY)]
    assert changes(found[0], found[1]) == []
    assert [each.what for each in changes(found[1], found[2])] == [record.TARGET_HEALTHY]
    assert changes(found[2], {}) == [Change(record.TARGET_UNHEALTHY, "w1:443", {GONE: "yes"})]


@given(
    thing=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["metadata", "spec", "status", "conditions", "taints", "ownerReferences", "endpoints", "addresses"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_a_malformed_object_is_an_empty_one(thing: Any) -> None:
    """Whatever the API hands over becomes a view: a drill does not end by an object that is not as documented."""
    for view in (node, pod, endpoint_slice, postgres):
        view(thing if isinstance(thing, dict) else {})
