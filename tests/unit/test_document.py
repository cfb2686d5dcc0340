"""Paths and values of JSON documents."""

from __future__ import annotations

from drkit.points import document


def test_values_have_paths_that_people_read() -> None:
    """Entries of lists are called by their names, and what has none by its position."""
    nodes = {"nodes": [{"name": "w1", "labels": {"zone": "a"}}, {"name": "w2", "labels": {}}], "dns": ["x", "y"]}
    assert dict(document.values(nodes)) == {
        "nodes[w1].name": "w1",
        "nodes[w1].labels.zone": "a",
        "nodes[w2].name": "w2",
        "nodes[w2].labels": {},
        "dns[0]": "x",
        "dns[1]": "y",
    }


def test_a_name_that_two_share_names_neither() -> None:
    """Where names are not unique the next field that is decides."""
    addresses = [{"type": "IP", "id": 1}, {"type": "IP", "id": 2}]
    assert dict(document.values(addresses)) == {"[1].type": "IP", "[1].id": 1, "[2].type": "IP", "[2].id": 2}


def test_things_have_their_values() -> None:
    """Values are grouped by the thing that was added, removed or changed as a whole."""
    nodes = {"format": 1, "nodes": [{"name": "w1", "taints": [{"key": "k", "effect": "NoSchedule"}]}]}
    assert document.things(nodes) == {
        "": {"format": 1},
        "nodes[w1]": {"name": "w1", "taints[k].key": "k", "taints[k].effect": "NoSchedule"},
    }
