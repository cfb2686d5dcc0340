"""What becomes of a job's record, and the news of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from drkit.schedule import events, record
from drkit.schedule.events import Change, Health, Outcome
from drkit.schedule.jobs import BACKUP, DRILLS, Job
from drkit.schedule.record import Ended, Record
from drkit.schedule.show import View
from drkit.schedule.summary import LONGEST, summary
from drkit.schedule.timing import Due, Times

NIGHTLY = Times("0 3 * * *")
JOB = Job("backup/cluster", BACKUP, NIGHTLY, 60.0, (), frozenset({"cluster"}))
MONDAY = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def _known(before: datetime = MONDAY - DAY) -> Record:
    return record.new(NIGHTLY, before)


def _ran(known: Record, outcome: Outcome, status: int | None, at: datetime = MONDAY, job: Job = JOB) -> Record:
    found = record.wanted(known, at)
    assert found is not None
    running = record.begun(known, found, at)
    return record.ended(running, job, _ended(found.at, at, outcome, status))


def _ended(due: datetime, at: datetime, outcome: Outcome, status: int | None) -> Ended:
    return Ended(
        due=due, started=at, ended=at + MINUTE, seconds=60.0, outcome=outcome, exit_code=status, summary="said"
    )


def test_a_job_that_is_new_waits_for_its_time() -> None:
    """The first start of a scheduler makes up for nothing."""
    known = record.new(NIGHTLY, MONDAY + MINUTE)
    assert record.wanted(known, MONDAY + 2 * MINUTE) is None
    assert record.upcoming(known) == MONDAY + DAY


def test_a_run_that_ended_well_is_served() -> None:
    """After it the next one is the next one, and nothing is due until then."""
    known = _ran(_known(), Outcome.DONE, 0)
    assert record.wanted(known, MONDAY + DAY - MINUTE) is None
    assert record.upcoming(known) == MONDAY + DAY
    assert (known.health, known.failures, known.last_success) == (Health.OK, 0, MONDAY + MINUTE)


def test_a_vault_that_cannot_be_reached_is_tried_again_until_it_can() -> None:
    """A box that is down for a day is asked with growing pauses, at its time once, and one good run ends it."""
    known, at, tries = _ran(_known(), Outcome.FAILED, 10), MONDAY, 1
    pauses = []
    while (at := record.upcoming(known)) < MONDAY + 2 * DAY:
        pauses.append((at - known.last.ended).total_seconds() / 60 if known.last else 0)
        known, tries = _ran(known, Outcome.FAILED, 10, at), tries + 1
    assert pauses[:4] == [10, 20, 40, 60]
    assert known.failures == tries
    known = _ran(known, Outcome.DONE, 0, at)
    assert record.wanted(known, at + MINUTE) is None
    assert record.upcoming(known) == MONDAY + 3 * DAY
    assert known.failures == 0


@pytest.mark.parametrize(
    ("status", "job", "again"),
    [
        (10, JOB, True),
        (11, JOB, True),
        (12, JOB, False),
        (3, JOB, False),
        (1, JOB, False),
        (-9, JOB, False),
        (10, Job(DRILLS, DRILLS, NIGHTLY, 60.0, (), frozenset()), False),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(status: int, job: Job, again: bool) -> None:
    """A wrong passphrase is no better ten minutes later, and a drill is not begun at another hour than its own."""
    known = _ran(_known(), Outcome.FAILED, status, job=job)
    assert (known.retry_at is not None) is again
    assert record.upcoming(known) == (MONDAY + 11 * MINUTE if again else MONDAY + DAY)


def test_an_interrupted_run_stays_due_and_is_no_failure() -> None:
    """A restart of the machine in mid-backup does not leave out the backup, nor count as its failure."""
    known = _ran(_known(), Outcome.INTERRUPTED, 130)
    assert record.wanted(known, MONDAY + 10 * MINUTE) == Due(MONDAY, 1)
    assert not record.missed(known, Due(MONDAY, 1), MONDAY + 10 * MINUTE)
    assert (known.health, known.failures) == (Health.UNKNOWN, 0)


def test_a_run_that_the_machine_died_with_is_made_up_for_once() -> None:
    """The first time it comes again at once; the second time it may be what kills the machine, and waits."""
    known = _known()
    for cut, due in ((1, True), (0, False)):
        running = record.begun(known, Due(MONDAY, 1), MONDAY)
        assert running.running is not None
        known = record.ended(running, JOB, record.died(running.running, MONDAY + MINUTE))
        assert (known.cut_short, record.wanted(known, MONDAY + 2 * MINUTE) is not None) == (cut, due)
    assert known.failures == 2
    assert known.last is not None
    assert known.last.outcome is Outcome.CUT_SHORT


def test_a_schedule_that_was_changed_begins_anew() -> None:
    """New times are not held against the old ones: what they would have meant before was never due."""
    known = record.settled(_ran(_known(), Outcome.FAILED, 10), Times("0 * * * *"), MONDAY + 5 * DAY)
    assert record.wanted(known, MONDAY + 5 * DAY) is None
    assert record.upcoming(known) == MONDAY + 5 * DAY + timedelta(hours=1)
    assert known.health is Health.FAILING


def test_a_clock_that_was_put_right_holds_nothing_up() -> None:
    """What was noted by a clock years ahead, a further try included, is not waited for."""
    ahead = MONDAY + 365 * DAY
    known = _ran(_known(ahead - DAY), Outcome.FAILED, 10, ahead)
    now = MONDAY + MINUTE
    known = record.settled(known, NIGHTLY, now)
    assert record.upcoming(known) == now + timedelta(hours=1)
    assert record.wanted(known, now + DAY) == Due(MONDAY + DAY, 1)


def test_a_record_survives_its_file() -> None:
    """What is written is what is read."""
    known = _ran(_known(), Outcome.FAILED, 10)
    assert Record.model_validate_json(known.model_dump_json()) == known


@pytest.mark.parametrize(
    ("was", "outcome", "change", "now"),
    [
        (Health.UNKNOWN, Outcome.DONE, Change.SUCCESS, Health.OK),
        (Health.OK, Outcome.DONE, Change.SUCCESS, Health.OK),
        (Health.FAILING, Outcome.DONE, Change.RECOVERY, Health.OK),
        (Health.UNKNOWN, Outcome.FAILED, Change.FAILURE, Health.FAILING),
        (Health.OK, Outcome.TIMED_OUT, Change.FAILURE, Health.FAILING),
        (Health.FAILING, Outcome.FAILED, Change.STILL_FAILING, Health.FAILING),
        (Health.OK, Outcome.CUT_SHORT, Change.FAILURE, Health.FAILING),
        (Health.OK, Outcome.INTERRUPTED, Change.INTERRUPTED, Health.OK),
        (Health.FAILING, Outcome.INTERRUPTED, Change.INTERRUPTED, Health.FAILING),
    ],
)
def test_news_say_what_was_and_what_is(was: Health, outcome: Outcome, change: Change, now: Health) -> None:
    """A failure is told as new once, and its end as a recovery."""
    before = _known().model_copy(update={"health": was})
    ending = _ended(MONDAY, MONDAY, outcome, 0 if outcome is Outcome.DONE else 3)
    event = events.finished("shop", JOB, before, ending, record.ended(before, JOB, ending))
    assert (event.change, event.was, event.now) == (change, was, now)
    assert event.bad is (change in {Change.FAILURE, Change.STILL_FAILING})
    assert json.loads(json.dumps(event.as_json()))["due"] == "2026-03-02T03:00:00Z"


def test_runs_that_did_not_come_are_told_with_their_number() -> None:
    """Three nights without the machine are one piece of news: three runs, the latest due when."""
    now = MONDAY + 2 * DAY + timedelta(hours=5)
    found = record.wanted(_known(), now)
    assert found == Due(MONDAY + 2 * DAY, 3)
    assert record.missed(_known(), found, now)
    event = events.missed("shop", JOB, _known(), found, now)
    assert (event.missed, event.due, event.bad) == (3, MONDAY + 2 * DAY, True)
    assert "3 runs were missed, the latest due at 2026-03-04T03:00:00Z" in event.summary


def _verified(wrong: list[str]) -> bytes:
    return json.dumps({"looked_at": [{"what": "p1", "wrong": wrong}, {"what": "p2", "wrong": []}]}).encode()


@pytest.mark.parametrize(
    ("kind", "status", "printed", "said"),
    [
        ("verify", 0, _verified([]), "2 looked at, all well"),
        ("verify", 13, _verified(["changed"]), "verification failed: 1 of 2 wrong; p1: changed"),
        ("prune", 0, b'{"vaults": {"a": {"kept": {"x": ""}, "removed": []}}}', "a: 0 points removed, 1 kept"),
        (
            "harden",
            3,
            b'{"patches": [{"object": "a", "state": "kept"}, {"object": "b", "state": "conflict"}]}',
            "done in part; what failed is named: 2 patches and files: 1 kept, 1 conflict; b conflict",
        ),
        ("backup", 0, b'{"id": "p", "complete": true, "point": {"sources": []}}', "recovery point p, 0 sources"),
        (
            "backup",
            3,
            b'{"id": "p", "complete": false, "point": {"sources": [{"name": "database/a", "status": "failed"}]}}',
            "done in part; what failed is named: recovery point p, 1 sources; not whole: database/a",
        ),
        ("backup", 10, b'{"error": {"code": 10, "message": "no answer"}}', "no answer"),
        ("drills", 22, b'{"suite": "nightly", "outcome": "invalid", "verdicts": [], "unrun": []}', "last words"),
        ("backup", -9, b"", "killed by signal 9: last words"),
        ("backup", 0, b"[" * 100_000, "done"),
        ("backup", 1, b'{"id": ', "unexpected error: last words"),
        ("backup", 10, b'{"error": {"message": "a\\u001b[2Jb\\nc"}}', "a\N{REPLACEMENT CHARACTER}[2Jb c"),
    ],
)
def test_a_run_is_summed_up_in_a_line(kind: str, status: int, printed: bytes, said: str) -> None:
    """Whatever a command printed, whole, cut off or hostile, there is one line that can be shown."""
    if kind == "drills":
        assert "suite nightly: invalid, 0 drills" in summary(kind, status, printed, "last words")
    else:
        assert summary(kind, status, printed, "last words") == said


def test_a_summary_is_short() -> None:
    """An error of megabytes is not put into every alert."""
    printed = json.dumps({"error": {"message": "x" * 1_000_000}}).encode()
    assert len(summary("backup", 1, printed, "")) == LONGEST


def test_show_tells_what_is_next_and_how_it_went() -> None:
    """For people in the schedule's own time zone, for scripts in UTC."""
    berlin = Times("0 3 * * *", "Europe/Berlin")
    job = Job("backup/cluster", BACKUP, berlin, 60.0, ("backup", "cluster"), frozenset())
    begun = record.new(berlin, MONDAY - DAY)
    failed = record.ended(begun, job, _ended(MONDAY - timedelta(hours=1), MONDAY, Outcome.FAILED, 12))
    other = Job("prune", "prune", NIGHTLY, 60.0, ("prune",), frozenset())
    view = View("shop", "process 7", (job, other), {job.name: failed}, MONDAY + MINUTE)
    assert view.rows() == [
        [
            "backup/cluster",
            "0 3 * * * Europe/Berlin",
            "2026-03-03 03:00",
            "2026-03-02 04:00",
            "1 min 0 s",
            "FAILED: said",
            "never",
        ],
        ["prune", "0 3 * * * UTC", "2026-03-03 03:00", "never", "", "", "never"],
    ]
    first, second = view.as_json()["jobs"]
    assert (first["next"], first["last"]["exit_code"], first["health"]) == ("2026-03-03T02:00:00Z", 12, "failing")
    assert (second["next"], second["last"]) == ("2026-03-03T03:00:00Z", None)


def test_show_tells_of_a_run_only_while_somebody_runs_it() -> None:
    """What a scheduler was at when it died is not shown as running."""
    running = record.begun(_known(), Due(MONDAY, 1), MONDAY)
    with_one = View("shop", "process 7", (JOB,), {JOB.name: running}, MONDAY + MINUTE)
    assert with_one.rows()[0][2] == "runs since 2026-03-02 03:00"
    assert with_one.as_json()["jobs"][0]["running_since"] == "2026-03-02T03:00:00Z"
    without = View("shop", None, (JOB,), {JOB.name: running}, MONDAY + MINUTE)
    assert without.as_json()["jobs"][0]["running_since"] is None
