"""The engine: plans are checked, steps run side by side and in order, and what was cut short goes on."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit import masking, process
from drkit.clock import SystemClock
from drkit.errors import (
    ConnectionCut,
    DrkitError,
    HostKeyError,
    Interrupted,
    KubeRefused,
    NodeUnreachable,
    PreflightFailed,
    RestoreFailed,
    TargetNotEmpty,
    VerificationFailed,
)
from drkit.observe.progress import PlainReporter
from drkit.restore.engine import execution, journal
from drkit.restore.engine import plan as plans
from drkit.restore.engine.action import Action, Call, Group
from drkit.restore.engine.critical import path
from drkit.restore.engine.plan import Drawn, Plan, Step
from drkit.restore.engine.run import execute
from drkit.restore.engine.turns import startable
from drkit.restore.reports import keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from drkit.restore.engine.report import Report

    Run = Callable[[Call], Mapping[str, Any] | None]

pytestmark = pytest.mark.usefixtures("own_programs")

_SECONDS = 20.0
"""A bound for what must happen at once: reached only where the test fails."""


def _step(name: str, *needs: str, **details: Any) -> Step:
    return Step(name, name.partition(" ")[0], f"do {name}", needs, details)


def _never(call: Call) -> None:
    pytest.fail(f"{call.step.id} was called")


def _plan(*steps: Step) -> Plan:
    return Plan("spare", steps, (Drawn("database/a", "20260301T120000Z-abc123", 60, 1000),))


class _Work:
    """Functions by the names of actions; says whether it was asked to begin."""

    def __init__(self, actions: Mapping[str, Action | Run], refuse: DrkitError | None = None) -> None:
        self.actions = {name: each if isinstance(each, Action) else Action(each) for name, each in actions.items()}
        self.refuse = refuse

    @contextmanager
    def prepared(self, restore: str, history: journal.History) -> Iterator[Mapping[str, Action]]:
        assert history.plan["target"] == "spare"
        assert restore == restore.lower()
        if self.refuse is not None:
            raise self.refuse
        yield self.actions


def _run(plan: Plan, actions: Mapping[str, Action | Run], *, resume: bool = False) -> Report:
    resumed = journal.newest("spare") if resume else None
    return execute(plan, _Work(actions), resumed, SystemClock(), PlainReporter(), keep)


def _history() -> journal.History:
    newest = journal.newest("spare")
    assert newest is not None
    history = journal.read(newest)
    assert history is not None
    return history


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([_step("a"), _step("a")], "the same id: a"),
        ([_step("a", "b")], "not there: b"),
        ([_step("a", "b"), _step("b", "a"), _step("c")], "need each other: a, b"),
        ([_step("a", "a")], "need each other: a"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_none(steps: list[Step], says: str) -> None:
    """Doubled ids, needs that are not there and circles are found where the plan is made."""
    with pytest.raises(ValueError, match=says):
        _plan(*steps)


@st.composite
def _plans(draw: st.DrawFn) -> tuple[Step, ...]:
    count = draw(st.integers(1, 12))
    steps = []
    for number in range(count):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        steps.append(Step(f"s{number}", "do", "", tuple(f"s{need}" for need in sorted(needs))))
    return tuple(draw(st.permutations(steps)))


@given(_plans())
def test_whatever_the_plan_every_step_runs_once_after_its_needs(steps: tuple[Step, ...]) -> None:
    """Each step is called exactly once, and not before all that it needs have ended."""
    lock = threading.Lock()
    ended: list[str] = []

    def do(call: Call) -> None:
        with lock:
            assert set(call.step.needs) <= set(ended)
        with lock:
            ended.append(call.step.id)

    report = _run(_plan(*steps), {"do": do})
    assert sorted(ended) == sorted(step.id for step in steps)
    assert {step.id for step in report.steps} == set(ended)
    assert report.finished


@given(_plans())
def test_a_plan_comes_back_out_of_a_journal(steps: tuple[Step, ...]) -> None:
    """A restore is resumed with the plan that it was begun with."""
    made = _plan(*steps)
    assert plans.from_json(json.loads(json.dumps(made.as_json()))) == made


@pytest.mark.parametrize("document", [{}, {"target": "x", "steps": [{"id": "a", "database": "b", "needs": []}]}])
def test_a_journal_of_another_version_is_refused(document: dict[str, Any]) -> None:
    """What the journal's plan does not say as this version does is said so, and not guessed at."""
    with pytest.raises(PreflightFailed, match="another version"):
        plans.from_json(document)


def test_steps_that_do_not_need_each_other_run_side_by_side() -> None:
    """Two steps that wait for each other both end."""
    meeting = threading.Barrier(2)

    def meet(_: Call) -> None:
        meeting.wait(_SECONDS)

    assert len(_run(_plan(_step("meet a"), _step("meet b")), {"meet": meet}).steps) == 2


def test_a_group_is_bounded_and_the_first_of_the_plan_comes_first() -> None:
    """Of a bounded group only so many are started, in the plan's order; others are not held up by it."""
    groups = {"load": Group("databases", 2)}
    steps = [_step("load a"), _step("load b"), _step("load c"), _step("boot d"), _step("boot e", "boot d")]

    def now(done: set[str], begun: set[str]) -> list[str]:
        return [step.id for step in startable(steps, done, begun, groups)]

    assert now(set(), set()) == ["load a", "load b", "boot d"]
    assert now({"load a"}, {"load b"}) == ["load c", "boot d"]
    assert now({"boot d"}, {"load a", "load b"}) == ["boot e"]


def test_results_are_handed_on() -> None:
    """What a step leaves is there for those that come after it, in the same attempt and in a resumed one."""
    seen: list[Mapping[str, Any]] = []
    broken = [True]

    def second(call: Call) -> None:
        seen.append(call.results["first"])
        if broken.pop() if broken else False:
            raise RestoreFailed("not yet")

    made = _plan(_step("first"), _step("second", "first"))
    with pytest.raises(RestoreFailed):
        _run(made, {"first": lambda _: {"address": "192.0.2.1"}, "second": second})
    _run(made, {"first": _never, "second": second}, resume=True)
    assert seen == [{"address": "192.0.2.1"}] * 2


class _Listener(PlainReporter):
    """Lets a test wait until something was warned of."""

    def __init__(self) -> None:
        super().__init__()
        self.warned = threading.Event()

    def warn(self, text: str) -> None:
        super().warn(text)
        self.warned.set()


def test_when_a_step_fails_the_others_end_and_none_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    """What runs is let end and counts as done; the failure is said at once; the error tells how to go on."""
    listener = _Listener()
    ended: list[str] = []

    def fail(_: Call) -> None:
        raise VerificationFailed("not the same", "look at it")

    def work(call: Call) -> None:
        assert listener.warned.wait(_SECONDS)
        ended.append(call.step.id)

    made = _plan(_step("fail"), _step("work a"), _step("work b", "work a"), _step("work c", "fail"))
    actions = _Work({"fail": fail, "work": work})
    with pytest.raises(VerificationFailed, match="fail: not the same") as raised:
        execute(made, actions, None, SystemClock(), listener, keep)
    assert ended == ["work a"]
    assert "fail: not the same; nothing new is started, and what runs is let end: work a" in capsys.readouterr().err
    assert "look at it" in raised.value.hint
    assert "drkit restore --to spare --resume" in raised.value.hint
    assert _history().steps == {"fail": "failed", "work a": "done"}


def test_all_that_failed_is_told_together() -> None:
    """Two steps that fail at once are both named, whatever their errors carry beside a message."""
    meeting = threading.Barrier(2)

    def refused(_: Call) -> None:
        meeting.wait(_SECONDS)
        raise KubeRefused(409, "a conflict", "change it")

    with pytest.raises(KubeRefused) as raised:
        _run(_plan(_step("refused a"), _step("refused b")), {"refused": refused})
    assert "refused a: a conflict" in raised.value.message
    assert "refused b: a conflict" in raised.value.message


def test_what_nobody_foresaw_ends_the_restore_too() -> None:
    """An error that is no one of drkit's own is not swallowed, and the journal can be resumed."""
    with pytest.raises(ZeroDivisionError):
        _run(_plan(_step("divide")), {"divide": lambda _: {"never": 1 // 0}})
    assert _history().steps == {"divide": "failed"}
    assert _run(_plan(_step("divide")), {"divide": lambda _: None}, resume=True).finished


def test_a_resumed_restore_skips_what_is_done_and_tells_what_was_begun() -> None:
    """Steps that are done are not called again; those that were begun are, and are told so."""
    calls: list[tuple[str, bool]] = []

    def work(call: Call) -> None:
        calls.append((call.step.id, call.begun_before))
        if call.step.id == "work b" and not call.begun_before:
            raise RestoreFailed("cut")

    made = _plan(_step("work a"), _step("work b", "work a"), _step("work c", "work b"))
    with pytest.raises(RestoreFailed):
        _run(made, {"work": work})
    report = _run(made, {"work": work}, resume=True)
    assert calls == [("work a", False), ("work b", False), ("work b", True), ("work c", False)]
    assert [attempt.status for attempt in report.attempts] == ["failed", "finished"]
    assert [(run.id, run.attempt, run.error) for run in report.cut_short] == [("work b", 1, "cut")]
    assert [(run.id, run.attempt) for run in report.steps] == [("work a", 1), ("work b", 2), ("work c", 2)]


def test_a_restore_can_be_killed_after_any_line_of_its_journal() -> None:
    """Wherever the journal ends, torn line or not, the resumed restore ends with every step done and in order."""
    made = _plan(_step("do a"), _step("do b"), _step("do c", "do a", "do b"), _step("do d", "do c"))
    _run(made, {"do": lambda _: {"left": 1}})
    newest = journal.newest("spare")
    assert newest is not None
    lines = newest.path.read_bytes().splitlines(keepends=True)[:-1]
    for count in range(1, len(lines) + 1):
        for torn in (b"", b'{"step": "do a", "sta'):
            newest.path.write_bytes(b"".join(lines[:count]) + torn)
            before = {step for step, word in _history().steps.items() if word == "done"}
            called: list[str] = []

            def do(call: Call, called: list[str] = called) -> dict[str, int]:
                assert all(call.results[need] == {"left": 1} for need in call.step.needs)
                called.append(call.step.id)
                return {"left": 1}

            report = _run(made, {"do": do}, resume=True)
            assert set(called) == {step.id for step in made.steps} - before
            assert {run.id for run in report.steps} == {step.id for step in made.steps}


def test_a_finished_restore_is_not_resumed() -> None:
    """Whoever waits for the target and then finds the restore finished does not do it again."""
    _run(_plan(_step("a")), {"a": lambda _: None})
    with pytest.raises(PreflightFailed, match="finished meanwhile"):
        _run(_plan(_step("a")), {"a": _never}, resume=True)


def test_two_restores_to_one_target_do_not_meet() -> None:
    """While one restore is at work, another one to the same target is refused and touches nothing."""
    refused: list[str] = []

    def work(_: Call) -> None:
        with pytest.raises(TargetNotEmpty, match="is being restored by process") as raised:
            _run(_plan(_step("fail")), {"fail": _never})
        refused.append(raised.value.hint)

    _run(_plan(_step("work")), {"work": work})
    assert refused == ["wait for it to end"]


def test_an_action_that_nobody_wrote_is_said_before_anything_is_touched() -> None:
    """A plan with a step that cannot be carried out is refused whole, and leaves no journal."""
    with pytest.raises(PreflightFailed, match="cannot carry them out yet: fly"):
        _run(_plan(_step("walk"), _step("fly")), {"walk": _never})
    assert journal.newest("spare") is None


def test_a_preflight_that_fails_leaves_no_journal() -> None:
    """Nothing was begun, so there is nothing to resume."""
    work = _Work({}, TargetNotEmpty("alive"))
    with pytest.raises(TargetNotEmpty):
        execute(_plan(_step("a")), work, None, SystemClock(), PlainReporter(), keep)
    assert journal.newest("spare") is None


def test_a_signal_ends_what_runs_and_can_be_resumed() -> None:
    """Programs that steps started are ended, their steps are called again by --resume, and nothing else is started."""
    started = threading.Event()

    def sleep(call: Call) -> None:
        if not call.begun_before:
            started.set()
            process.run(["sleep", "60"], deadline=120)
            process.pause(0)

    def interrupt(_: Call) -> None:
        assert started.wait(_SECONDS)
        process.note_interrupt()

    made = _plan(_step("sleep"), _step("interrupt"), _step("after", "sleep"))
    with pytest.raises(Interrupted) as raised:
        _run(made, {"sleep": sleep, "interrupt": interrupt, "after": _never})
    assert "drkit restore --to spare --resume" in raised.value.hint
    assert _history().steps == {"sleep": "interrupted", "interrupt": "done"}
    process.start_again()
    report = _run(made, {"sleep": sleep, "interrupt": _never, "after": lambda _: None}, resume=True)
    assert [attempt.status for attempt in report.attempts] == ["interrupted", "finished"]


def test_what_steps_tell_outlives_them() -> None:
    """Warnings, notes, what has to be reissued and old DNS records are in the report, each once."""
    values = ["192.0.2.1"]

    def work(call: Call) -> None:
        call.warn("not as it was")
        call.note("worth knowing")
        call.reissue("the kubeconfig of the CI")
        call.old_record("docfast.dev", "A", list(values))
        if not call.begun_before:
            values[:] = ["203.0.113.9"]
            raise RestoreFailed("cut after the record was changed")

    with pytest.raises(RestoreFailed):
        _run(_plan(_step("work")), {"work": work})
    report = _run(_plan(_step("work")), {"work": work}, resume=True)
    assert report.warnings == ("not as it was",)
    assert report.notes == ("worth knowing",)
    assert report.reissue == ("the kubeconfig of the CI",)
    assert [(each.name, each.type, each.values) for each in report.old_records] == [
        ("docfast.dev", "A", ("192.0.2.1",))
    ]


def test_no_secret_reaches_the_journal() -> None:
    """A step that leaves or says a secret by mistake leaves a mask."""
    masking.register("correct horse")

    def leak(call: Call) -> dict[str, str]:
        call.warn("it is correct horse")
        return {"password": "correct horse"}

    _run(_plan(_step("leak")), {"leak": leak})
    newest = journal.newest("spare")
    assert newest is not None
    assert "correct horse" not in newest.path.read_text()


def test_the_critical_path_is_the_longest_chain() -> None:
    """Of all chains of steps that need each other, the one that takes longest in all."""
    steps = [_step("a"), _step("b", "a"), _step("c", "a"), _step("d", "b", "c")]
    assert path(steps, {"a": 1, "b": 5, "c": 2, "d": 1}).steps == ("a", "b", "d")
    assert path(steps, {"a": 1, "b": 5, "c": 7, "d": 1}).steps == ("a", "c", "d")
    assert path(steps, {"a": 1, "b": 5, "c": 7, "d": 1}).seconds == 9
    assert path([], {}).steps == ()


@given(_plans(), st.lists(st.floats(0, 100), min_size=12, max_size=12))
def test_no_restore_is_over_before_its_critical_path(steps: tuple[Step, ...], times: list[float]) -> None:
    """The path is a chain of needs, and with room for all steps at once the whole takes exactly as long."""
    seconds = {f"s{number}": time for number, time in enumerate(times)}
    found = path(steps, seconds)
    by_id = {step.id: step for step in steps}
    assert all(before in by_id[after].needs for before, after in zip(found.steps, found.steps[1:], strict=False))
    ends: dict[str, float] = {}
    for step in plans.ordered(steps):
        ends[step.id] = max((ends[need] for need in step.needs), default=0.0) + seconds[step.id]
    assert found.seconds == pytest.approx(max(ends.values()), abs=0.001)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are tried again at once."""
    monkeypatch.setattr(execution, "WAITS", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("error", [ConnectionCut("cut"), NodeUnreachable("gone")])
def test_what_passes_is_tried_again(error: DrkitError) -> None:
    """A step that a network cut off goes on, knowing that it had begun; the report says so, and the step is done."""
    begun: list[bool] = []

    def do(call: Call) -> None:
        begun.append(call.begun_before)
        if len(begun) < 3:
            raise error

    report = _run(_plan(_step("a")), {"a": do})
    assert begun == [False, True, True]
    (step,) = report.as_json()["steps"]
    assert step["status"] == "done"
    assert any(error.message in note for note in report.as_json()["notes"])


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("error", "times"), [(ConnectionCut("cut"), 4), (HostKeyError("other"), 1)])
def test_trying_again_has_an_end(error: DrkitError, times: int) -> None:
    """What does not pass, and what is of a kind that does not, ends the restore with its own error."""
    called = []

    def do(call: Call) -> None:
        called.append(call.step.id)
        raise error

    with pytest.raises(type(error)):
        _run(_plan(_step("a")), {"a": do})
    assert len(called) == times


@pytest.mark.usefixtures("hasty")
def test_nothing_is_tried_again_where_another_step_failed() -> None:
    """Where the restore has failed anyway, it ends soon."""
    called = []
    failed = threading.Event()

    def fail(_: Call) -> None:
        failed.set()
        raise RestoreFailed("broken")

    def cut(_: Call) -> None:
        called.append(failed.wait(_SECONDS))
        raise ConnectionCut("cut")

    with pytest.raises(RestoreFailed):
        _run(_plan(_step("a"), _step("b")), {"a": fail, "b": cut})
    assert len(called) <= len(execution.WAITS)
