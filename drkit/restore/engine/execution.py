"""Carries out the steps of a plan, side by side where they do not need each other."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import DrkitError
from drkit.restore.engine import journal
from drkit.restore.engine.action import NOTE, Call
from drkit.restore.engine.turns import SIDE_BY_SIDE, startable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from drkit.observe.progress import Reporter
    from drkit.restore.engine.action import Action
    from drkit.restore.engine.journal import Attempt, History
    from drkit.restore.engine.plan import Step

WAITS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds before a step that met what passes by itself is tried again: in all, more than a server takes to boot."""
_LOOK_SECONDS = 1.0
"""How often a wait is left to see whether a signal came whose exception was lost."""


class Execution:
    """The execution of one plan in one attempt.

    Args:
        steps: the plan's.
        actions: a function for each action of the plan.
        attempt: the journal.
        history: what earlier attempts did.
        reporter: told of each step.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        actions: Mapping[str, Action],
        attempt: Attempt,
        history: History,
        reporter: Reporter,
    ) -> None:
        self._steps, self._actions, self._attempt, self._reporter = steps, actions, attempt, reporter
        self._groups = {name: action.group for name, action in actions.items() if action.group is not None}
        self._last_words = history.steps
        self._done = {step for step, word in self._last_words.items() if word == journal.DONE}
        self._results: dict[str, Mapping[str, Any]] = dict(history.results)
        self._failed = threading.Event()

    def run(self) -> None:
        """Carry out what is not done yet.

        A step that meets what passes by itself, such as a network that is down, goes on after a while, so many times.
        When a step fails, those that run are let end, and no new one is started.

        Raises:
            DrkitError: what failed; of several, all messages under the first one's class.
            KeyboardInterrupt: a signal came; what ran has ended.
        """
        errors: dict[str, BaseException] = {}
        running: dict[Future[Mapping[str, Any]], Step] = {}
        with ThreadPoolExecutor(SIDE_BY_SIDE, "restore") as pool:
            try:
                while True:
                    begun = [step.id for step in running.values()]
                    for step in startable(self._steps, self._done, begun, self._groups) if not errors else ():
                        running[pool.submit(self._do, step)] = step
                    if not running:
                        break
                    ended, _ = wait(running, _LOOK_SECONDS, FIRST_COMPLETED)
                    process.see_interrupt()
                    failed = self._collect(running, ended)
                    self._tell(failed, running.values())
                    errors |= failed
            except BaseException:
                process.stop_all()
                raise
        if errors:
            raise together(errors)

    def _collect(
        self, running: dict[Future[Mapping[str, Any]], Step], ended: Iterable[Future[Mapping[str, Any]]]
    ) -> dict[str, BaseException]:
        errors = {}
        for future in ended:
            step = running.pop(future)
            error = future.exception()
            if error is not None:
                errors[step.id] = error
            else:
                self._results[step.id] = future.result()
                self._done.add(step.id)
        return errors

    def _tell(self, failed: Mapping[str, BaseException], running: Iterable[Step]) -> None:
        """What failed is said at once where others go on; else it is the error that the command ends with."""
        others = ", ".join(step.id for step in running)
        for step, error in failed.items() if others else ():
            message = error.message if isinstance(error, DrkitError) else type(error).__name__
            self._reporter.warn(f"{step}: {message}; nothing new is started, and what runs is let end: {others}")

    def _do(self, step: Step) -> Mapping[str, Any]:
        self._attempt.write(step=step.id, status=journal.STARTED)
        try:
            result = self._patiently(step)
        except BaseException as error:
            # Before whoever started it looks: others, who wait to be tried again, need not be.
            self._failed.set()
            word = journal.INTERRUPTED if process.ending() else journal.FAILED
            message = error.message if isinstance(error, DrkitError) else type(error).__name__
            self._attempt.write(step=step.id, status=word, error=message)
            raise
        self._attempt.write(step=step.id, status=journal.DONE, result=result)
        return result

    def _patiently(self, step: Step) -> Mapping[str, Any]:
        """The step's result, after as many tries as it takes and is worth."""
        begun_before = step.id in self._last_words
        for seconds in WAITS:
            try:
                return self._once(step, begun_before=begun_before)
            except DrkitError as error:
                if not error.passes or process.ending() or self._failed.is_set():
                    raise
                said = f"{error.message}; trying again in {seconds:.0f} s"
                self._reporter.warn(f"{step.id}: {said}")
                self._attempt.write(step=step.id, told=NOTE, value=said)
                if self._fails_within(seconds):
                    raise
            begun_before = True
        return self._once(step, begun_before=begun_before)

    def _fails_within(self, seconds: float) -> bool:
        """Wait; or not so long where another step fails, and with it the restore."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._failed.is_set():
            process.pause(min(left, _LOOK_SECONDS))
        return self._failed.is_set()

    def _once(self, step: Step, *, begun_before: bool) -> Mapping[str, Any]:
        with self._reporter.task(step.id) as task:
            call = Call(step, self._attempt, begun_before=begun_before, results=dict(self._results), task=task)
            return dict(self._actions[step.action].run(call) or {})


def together(errors: Mapping[str, BaseException]) -> BaseException:
    """One error for all that failed; what was not foreseen comes before what drkit itself says.

    Args:
        errors: by the ids of their steps.
    """
    unforeseen = [error for error in errors.values() if not isinstance(error, DrkitError)]
    if unforeseen:
        return unforeseen[0]
    known = {step: error for step, error in errors.items() if isinstance(error, DrkitError)}
    first = next(iter(known.values()))
    # The same object, with more to say: some classes carry more than a message.
    first.hint = "\n".join(dict.fromkeys(error.hint for error in known.values() if error.hint))
    first.message = "\n".join(f"{step}: {error.message}" for step, error in known.items())
    first.args = (first.message,)
    return first
