"""What every fault with an effect that lasts does: the suite of the port ``Fault``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.errors import FaultFailed
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.drill.faults.port import Fault

    Make = Callable[[], Fault]
    """The same fault anew, as another process would have it."""
    There = Callable[[], bool]
    """Whether its effect is there, seen by other means than the fault's own."""

LONG = 120.0
"""Seconds that no test takes: such a timer does not run out."""
SHORT = 4.0


class FaultSuite:
    """The suite; a subclass gives the fixtures ``make``, ``there``, ``stirred``, ``no_op`` and ``remains``."""

    @pytest.fixture
    def stirred(self) -> Callable[[], object]:
        """Does what shows the effect, such as a packet that is dropped."""
        return lambda: None

    @pytest.fixture
    def remains(self) -> Callable[[], str]:
        """What is left behind, besides the effect; empty where nothing is."""
        return lambda: ""

    def test_looking_changes_nothing(self, make: Make, there: There, remains: Callable[[], str]) -> None:
        """A fault that is asked whether it can be done says whom it hits, and leaves all as it is."""
        found = make().prepare()
        assert found.impossible == ""
        assert found.hits
        assert not there()
        assert remains() == ""

    def test_unarmed_it_is_refused(self, make: Make, there: There) -> None:
        """What nobody would undo is not done."""
        fault = make()
        fault.prepare()
        with pytest.raises(FaultFailed):
            fault.inject()
        assert not there()

    def test_it_is_seen_and_undone(
        self, make: Make, there: There, stirred: Callable[[], object], remains: Callable[[], str]
    ) -> None:
        """It comes when it is sent, is confirmed by what is seen of it, and is gone after its undo, with all traces."""
        fault = make()
        assert fault.prepare().impossible == ""
        assert fault.arm(LONG)
        assert fault.confirm() == ""
        assert not there()
        assert fault.inject()
        assert there()
        stirred()
        until(fault.confirm, every=0.2)
        assert fault.undo()
        assert not there()
        assert remains() == ""
        assert fault.undo()
        assert not there()

    def test_undone_before_it_was_done(self, make: Make, there: There, remains: Callable[[], str]) -> None:
        """An undo that was armed and never needed goes without a trace."""
        fault = make()
        fault.arm(LONG)
        fault.undo()
        assert not there()
        assert remains() == ""
        with pytest.raises(FaultFailed):
            fault.inject()

    def test_another_process_undoes_it(self, make: Make, there: There, remains: Callable[[], str]) -> None:
        """Whoever comes after a drkit that was killed can undo what that one did."""
        fault = make()
        fault.arm(LONG)
        fault.inject()
        make().undo()
        assert not there()
        assert remains() == ""

    def test_the_timer_alone_undoes_it(self, make: Make, there: There, remains: Callable[[], str]) -> None:
        """Where drkit does nothing any more, the effect is gone when its time is over."""
        fault = make()
        fault.arm(SHORT)
        fault.inject()
        until(lambda: not there(), every=0.1)
        until(lambda: remains() == "", every=0.1)

    @pytest.mark.usefixtures("no_op")
    def test_what_did_nothing_is_not_confirmed(self, make: Make, there: There, stirred: Callable[[], object]) -> None:
        """A fault that was acknowledged and did nothing is not taken for one."""
        fault = make()
        fault.arm(LONG)
        fault.inject()
        assert not there()
        stirred()
        assert fault.confirm() == ""
        fault.undo()
