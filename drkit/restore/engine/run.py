"""One attempt at a restore: the target is held, what was done before is read, the rest is carried out, and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit import process, state
from drkit.errors import DrkitError, Interrupted, PreflightFailed, TargetNotEmpty
from drkit.points import names
from drkit.restore.engine import journal, report
from drkit.restore.engine.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.clock import Clock
    from drkit.observe.progress import Reporter
    from drkit.restore.engine.action import Action, Work
    from drkit.restore.engine.journal import History, Journal
    from drkit.restore.engine.plan import Plan
    from drkit.restore.engine.report import Report


def execute(
    plan: Plan,
    work: Work,
    resumed: Journal | None,
    clock: Clock,
    reporter: Reporter,
    keep: Callable[[Report], Path],
) -> Report:
    """Carry a plan out, or on from where its journal ends.

    Args:
        plan: what to do; where a restore is resumed, the one in its journal.
        work: the functions for its actions.
        resumed: the journal of the restore to go on with.
        clock: the time.
        reporter: told of each step.
        keep: writes a report down, also of an attempt that did not come to its end, and says where.

    Raises:
        TargetNotEmpty: nothing was touched; or another restore is at work on the target.
        PreflightFailed: nothing was touched.
        DrkitError: a step failed; the journal says how far the restore came.
        Interrupted: a signal came; the journal says the same.
    """
    started, start = clock.now(), clock.monotonic()
    with hold(plan.target):
        history = _history(plan, resumed)
        # In lower case, as labels elsewhere want it.
        restore = names.new_point(started).lower() if resumed is None else resumed.restore
        with work.prepared(restore, history) as actions:
            _see_actions(plan, actions)
            begun = resumed or journal.begin(names.slug(plan.target), restore, plan.as_json())
            attempt = journal.Attempt(begun, clock, history.attempts + 1, started, start)
            try:
                Execution(plan.steps, actions, attempt, history, reporter).run()
                attempt.write(status=journal.FINISHED)
            except KeyboardInterrupt:
                process.stop_all()
                raise Interrupted(
                    f"interrupted; the steps that ran have ended (journal: {begun.path})", resume_hint(plan)
                ) from None
            except DrkitError as error:
                if "--resume" not in error.hint:
                    error.hint = "\n".join(filter(None, (error.hint, resume_hint(plan))))
                raise
            finally:
                written = _report(plan, begun)
                _keep(written, keep, reporter)
    return written


def _keep(written: Report, keep: Callable[[Report], Path], reporter: Reporter) -> None:
    """A restore is no worse for a report that the disk has no room for."""
    try:
        reporter.note(f"report: {keep(written)}")
    except OSError as error:
        reporter.warn(f"the report could not be written: {error}")


def _report(plan: Plan, begun: Journal) -> Report:
    history = journal.read(begun)
    assert history is not None  # noqa: S101 - it begins with the plan
    return report.of(plan, history, begun.restore)


def resume_hint(plan: Plan) -> str:
    """How to go on."""
    return f"go on with: drkit restore --to {plan.target} --resume"


def hold(target: str) -> AbstractContextManager[None]:
    """The target for oneself.

    Raises:
        TargetNotEmpty: another restore is at work on it.
    """
    return state.exclusive(
        f"restore-{names.slug(target)}",
        "drkit restore",
        0,
        lambda holder: TargetNotEmpty(f"target {target} is being restored by {holder}", "wait for it to end"),
        lambda _: None,
    )


def _history(plan: Plan, resumed: Journal | None) -> History:
    """What was done before, read while nobody else can add to it."""
    history = journal.History(plan.as_json()) if resumed is None else journal.read(resumed)
    if history is None or history.finished:
        raise PreflightFailed(f"the restore to {plan.target} has been finished meanwhile", "look at its report")
    return history


def _see_actions(plan: Plan, actions: Mapping[str, Action]) -> None:
    unknown = sorted({step.action for step in plan.steps} - actions.keys())
    if unknown:
        raise PreflightFailed(
            f"this version of drkit plans these steps and cannot carry them out yet: {', '.join(unknown)}; "
            "nothing was touched",
            "see what it would do: --plan",
        )
