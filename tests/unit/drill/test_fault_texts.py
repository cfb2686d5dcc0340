"""The texts and choices of faults that need no machine: nftables' tables, addresses, who is evicted, names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drkit.cluster.local import LocalNode
from drkit.drill.faults import nft
from drkit.drill.faults.armed import Armed
from drkit.drill.faults.drain import evictable
from drkit.drill.faults.find import KINDS, make
from drkit.drill.faults.means import Means
from drkit.drill.faults.places import split
from drkit.drill.values import Injection
from drkit.errors import PreflightFailed, UsageError


def test_a_table_drops_by_families_and_never_ssh() -> None:
    """Addresses of both families are matched by sets of their own, behind what lets SSH through in both directions."""
    peers = ["10.0.0.3", "10.42.1.0/24", "fd00::3"]
    text = nft.ruleset("t", nft.matches("saddr", peers), nft.matches("daddr", peers), spare=2222)
    rules = [line.strip() for line in text.splitlines()]
    for direction in ("saddr", "daddr"):
        assert f"ip {direction} {{ 10.0.0.3/32, 10.42.1.0/24 }} counter drop" in rules
        assert f"ip6 {direction} {{ fd00::3/128 }} counter drop" in rules
    assert rules.count("tcp dport 2222 accept") == rules.count("tcp sport 2222 accept") == 2
    assert rules.index("tcp dport 2222 accept") < rules.index("ip saddr { 10.0.0.3/32, 10.42.1.0/24 } counter drop")


def test_a_table_replaces_one_of_its_name() -> None:
    """Put twice it is there once: the first lines make it where it lacks, and remove it."""
    assert nft.ruleset("t", ["ip saddr 10.0.0.1"], []).splitlines()[:2] == ["table inet t", "delete table inet t"]


@pytest.mark.parametrize("text", ["10.0.0.1; drop", "$(id)", "name.example", ""])
def test_what_is_no_address_gets_into_no_table(text: str) -> None:
    """What the cluster says of its addresses is not trusted."""
    with pytest.raises(ValueError, match="does not appear to be"):
        nft.matches("saddr", [text])


def test_counters_are_summed() -> None:
    """What nftables tells of a table comes to the number of packets that it has matched."""
    rule = {"expr": [{"match": {}}, {"counter": {"packets": 3, "bytes": 180}}, {"drop": None}]}
    listed = {"nftables": [{"metainfo": {}}, {"table": {}}, {"rule": rule}, {"rule": rule}]}
    assert nft.counted(json.dumps(listed).encode()) == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.0.0.2:6443", ("10.0.0.2", 6443)), ("[fd00::2]:443", ("fd00::2", 443)), ("fd00::2:443", ("fd00::2", 443))],
)
def test_places_are_split(text: str, expected: tuple[str, int]) -> None:
    """Address and port, of both families."""
    assert split(text) == expected


@pytest.mark.parametrize("text", ["", "10.0.0.2", "10.0.0.2:0", "10.0.0.2:70000", "host:6443", "10.0.0.2:6443 accept"])
def test_what_is_no_place_is_refused(text: str) -> None:
    """Neither a name nor more words get through."""
    with pytest.raises(ValueError, match="address"):
        split(text)


def pod(**changed: Any) -> dict[str, Any]:
    """A pod of the node n1."""
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", **changed.pop("metadata", {})},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running"},
        **changed,
    }


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (pod(), True),
        (pod(spec={"nodeName": "n2"}), False),
        (pod(status={"phase": "Succeeded"}), False),
        (pod(metadata={"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}), False),
        (pod(metadata={"ownerReferences": [{"kind": "ReplicaSet", "controller": True}]}), True),
        (pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}), False),
        ({}, False),
    ],
)
def test_who_is_evicted(one: dict[str, Any], expected: bool) -> None:
    """As kubectl drain does: daemon sets', static and ended pods stay."""
    assert evictable(one, "n1") is expected


def test_names_are_safe_in_shells_units_and_tables() -> None:
    """A run's id becomes part of paths and scripts: one with anything else than letters, digits and hyphens is none."""
    for wrong in ("", "-x", "a b", "a;b", "a/../b", "$(id)", "x" * 200):
        with pytest.raises(ValueError, match="run's id"):
            Means(wrong, "cluster", {})
    means = Means("20261122T024500Z-worker-down", "cluster", {})
    assert nft.table_of(means.name(3)) == "drkit_drill_20261122T024500Z_worker_down_3"


def test_unknown_kinds_and_nodes_are_refused() -> None:
    """Neither a fault that is not there nor a machine that nobody can log in to comes as far as being armed."""
    means = Means("run", "cluster", {})
    with pytest.raises(UsageError, match="no fault"):
        make(Injection("set-on-fire", "n1", 0, 1), means)
    for kind in KINDS:
        with pytest.raises(PreflightFailed):
            make(Injection(kind, "n1", 0, 1, {"process": "etcd", "path": "/x", "leave_bytes": 1}), means)


def test_an_undo_keeps_to_its_own_names() -> None:
    """Unit and directory carry the injection's name."""
    armed = Armed(LocalNode("n1"), "run-0")
    assert (armed.unit, armed.directory) == ("drkit-drill-run-0", "/run/drkit-drill/run-0")
