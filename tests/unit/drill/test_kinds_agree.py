"""What scenarios can name, and what can be done, are the same."""

from __future__ import annotations

from drkit.drill.faults import find
from drkit.drill.scenario import kinds


def test_every_kind_of_fault_that_a_scenario_can_name_can_be_done() -> None:
    """The table that files are checked by has the kinds that there are, and no others."""
    assert set(kinds.KINDS) == set(find.KINDS)
