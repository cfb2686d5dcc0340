"""The faults of a drill, each at its time: armed, sent, confirmed, held, undone, and all of it recorded."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from drkit.drill.record import (
    ACKNOWLEDGED,
    ARMED,
    CONFIRMED,
    SENT,
    UNCONFIRMED,
    UNDOING,
    UNDONE,
    Phase,
)
from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.drill.faults.port import Fault
    from drkit.drill.record import Recorder
    from drkit.drill.values import Injection

CONFIRM_SECONDS = 30.0
"""How long the effect of a fault may take to be seen: a cloud server's power takes some seconds."""
_LOOK_SECONDS = 0.2
_UNDO_ATTEMPTS = 3
TIMER_MARGIN_SECONDS = 30.0
"""How much later than drkit's own undo the timer's is: it is for the case that drkit has gone."""


class Injecting:
    """The faults of one drill. Each has a thread of its own: they may overlap.

    Args:
        faults: in the order of ``injections``.
        injections: what the drill wants.
        recorder: where it is written down.
    """

    def __init__(self, faults: Sequence[Fault], injections: Sequence[Injection], recorder: Recorder) -> None:
        self._injections = tuple(injections)
        self._faults = tuple(faults)
        self._recorder = recorder
        self._sent = [threading.Event() for _ in injections]
        self._over = threading.Event()
        self._errors: list[DrkitError] = []
        self._threads = [
            threading.Thread(target=self._live, args=(number,), name=f"fault {number}", daemon=True)
            for number in range(len(self._injections))
        ]

    @property
    def errors(self) -> Sequence[DrkitError]:
        """What went wrong; the faults were undone all the same, as far as they could be."""
        return tuple(self._errors)

    @property
    def done(self) -> bool:
        """Whether all faults have come and gone."""
        return not any(thread.is_alive() for thread in self._threads)

    def begin(self) -> None:
        """Arm all faults, and let the first one's time begin.

        Raises:
            DrkitError: one cannot be armed; nothing was injected.
        """
        for number, fault in enumerate(self._faults):
            seconds = sum(each.after for each in self._injections[: number + 1]) + self._injections[number].lasts
            said = fault.arm(seconds + CONFIRM_SECONDS + TIMER_MARGIN_SECONDS)
            self._say(number, ARMED, said)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Undo what is there, inject nothing more, and wait until that is done."""
        self._over.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for number, (thread, fault) in enumerate(zip(self._threads, self._faults, strict=True)):
            if thread.ident is None:  # armed, and never begun
                self._undo(number, fault)

    def _live(self, number: int) -> None:
        injection, fault = self._injections[number], self._faults[number]
        try:
            self._inject(number, injection, fault)
        except DrkitError as error:
            self._errors.append(error)
            # Those that wait for this one have no time to be counted from.
            self._over.set()
        finally:
            self._sent[number].set()
            self._undo(number, fault)

    def _inject(self, number: int, injection: Injection, fault: Fault) -> None:
        while number and not self._sent[number - 1].wait(_LOOK_SECONDS):
            if self._over.is_set():
                return
        if self._over.wait(injection.after):
            return
        self._say(number, SENT)
        sent = time.monotonic()
        self._sent[number].set()
        self._say(number, ACKNOWLEDGED, fault.inject())
        if self._confirmed(number, fault, sent):
            self._over.wait(max(0.0, sent + injection.lasts - time.monotonic()))

    def _confirmed(self, number: int, fault: Fault, sent: float) -> bool:
        while time.monotonic() < sent + CONFIRM_SECONDS:
            said = fault.confirm()
            if said:
                self._say(number, CONFIRMED, said)
                return True
            if self._over.wait(_LOOK_SECONDS):
                break
        self._say(number, UNCONFIRMED, f"its effect was not seen within {time.monotonic() - sent:.0f} s")
        return False

    def _undo(self, number: int, fault: Fault) -> None:
        """Whatever became of it: a fault that was sent may have come about without its word."""
        self._say(number, UNDOING)
        for left in reversed(range(_UNDO_ATTEMPTS)):
            try:
                said = fault.undo()
            except DrkitError as error:
                if not left:
                    self._errors.append(error)
            else:
                self._say(number, UNDONE, said)
                return

    def _say(self, number: int, phase: str, said: str = "") -> None:
        self._recorder.write(Phase(self._recorder.at(), number, phase, said), durably=True)
