"""Strips and marks of the timeline: nothing that failed is hidden, and no label meets another."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from drkit.drill import record
from drkit.drill.record import FAILED, OK, UNKNOWN, Asked, Event
from drkit.drill.report import marks, strips
from tests.unit.drill.report import example

_EVERY = 0.1
_OUTCOMES = st.lists(st.sampled_from([OK, OK, OK, FAILED, UNKNOWN]), min_size=1, max_size=3 * strips.MOST)
_KINDS = (record.NODE_NOT_READY, record.POD_READY, record.NEW_PRIMARY, record.ENDPOINT_REMOVED, "what nobody knows")
_BADNESS = (OK, UNKNOWN, FAILED)
_WIDE = 6.75


def _asked(outcomes: list[str]) -> strips.Questions:
    entries = [
        Asked(number * _EVERY + 0.01, "page", number, number * _EVERY, number * _EVERY, outcome)
        for number, outcome in enumerate(outcomes)
    ]
    return strips.of(reversed(entries))["page", False]


@given(_OUTCOMES)
def test_the_worst_outcome_of_a_cell_wins(outcomes: list[str]) -> None:
    """However many questions a cell stands for, one that failed is seen; cells touch and are not too many."""
    cells = _asked(outcomes).cells(_EVERY)
    assert len(cells) <= strips.MOST
    assert all(abs(before.ended - after.began) < 1e-6 for before, after in pairwise(cells))
    for number, outcome in enumerate(outcomes):
        cell = next(each for each in cells if each.began - 1e-6 <= number * _EVERY < each.ended - 1e-6)
        assert _BADNESS.index(cell.outcome) >= _BADNESS.index(outcome)
    assert {each.outcome for each in cells} <= set(outcomes)


@given(_OUTCOMES)
def test_runs_show_what_their_cells_show(outcomes: list[str]) -> None:
    """Cells that are drawn as one cover the same time with the same outcomes."""
    cells = _asked(outcomes).cells(_EVERY)
    drawn = list(strips.runs(cells))
    assert all(before.outcome != after.outcome for before, after in pairwise(drawn))
    for outcome in _BADNESS:
        lengths = [sum(each.ended - each.began for each in some if each.outcome == outcome) for some in (cells, drawn)]
        assert abs(lengths[0] - lengths[1]) < 1e-6


def test_both_connections_have_a_strip_of_their_own() -> None:
    """What went over the long-lived connection is not mixed with the rest, and reasons are counted."""
    found = strips.of(example.entries())
    assert {(probe, session) for probe, session in found if probe == example.WRITE.name} == {
        (example.WRITE.name, False),
        (example.WRITE.name, True),
    }
    assert found[example.WRITE.name, False].reasons(30.4, 54.2) == "95 × timeout, 24 × refused"


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(_KINDS), st.text(max_size=40)), max_size=40))
def test_no_label_meets_another(seen: list[tuple[float, str, str]]) -> None:
    """Every event is under some mark; labels keep apart within their lane and inside of the picture."""
    events = [Event(at, what, who) for at, what, who in seen]
    made = marks.of(events, lambda at: 262 + 6.5 * at)
    assert sorted(map(id, events)) == sorted(id(event) for mark in made for event in mark.events)
    placed = marks.place(made, 6, _WIDE, 262, 914)
    assert len(placed) == len(made)
    spans = []
    for each in placed:
        width = 8 + _WIDE * len(each.mark.label)
        left = each.mark.x - 4 if each.anchor == "start" else each.mark.x - width
        if each.anchor:
            assert left >= 256
            assert left + width + 4 <= 926
            spans.append((each.lane, left, left + width + 4))
    for (lane, left, right), (other, start, end) in combinations(spans, 2):
        assert lane != other or right <= start + 4 or end <= left + 4


def test_the_most_telling_gets_its_label_first() -> None:
    """Among a hundred pods at once, the promotion and the node are named."""
    events = [Event(10.0 + 0.3 * number, record.POD_DELETED, f"ns/pod-{number}") for number in range(100)]
    events += [
        Event(12.0, record.NEW_PRIMARY, "postgres/main-db", {"to": "main-db-2"}),
        Event(11.0, record.NODE_NOT_READY, "k3s-w2"),
    ]
    placed = marks.place(marks.of(events, lambda at: 262 + 6.5 * at), 6, _WIDE, 262, 914)
    labels = {each.mark.label for each in placed if each.anchor}
    assert {"main-db-2 promoted", "k3s-w2 not ready"} <= labels
    assert any(each.mark.label.endswith("pods deleted") for each in placed)
