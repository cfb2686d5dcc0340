"""Who is told what: one message for a trouble until it is over; over real HTTP, to servers on loopback."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit import masking, state
from drkit.clock import to_text
from drkit.config.model import Config
from drkit.errors import ConfigurationError, NotDelivered
from drkit.observe.notify.news import Memory, Occasion, Told, Trouble, message, news, remembered
from drkit.observe.notify.notifier import Notifier
from drkit.observe.notify.send import Pings
from drkit.observe.standing.judge import judge
from drkit.observe.standing.known import JobSeen, VaultSeen
from drkit.schedule.events import Change, Event, Health, Outcome
from tests.http_sink import Sink, sink
from tests.unit.builders import NOON, point
from tests.unit.test_standing import WELL, known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

HOUR = timedelta(hours=1)
DAY = 86400.0
ALL: tuple[Occasion, ...] = ("failure", "recovery", "missed")
BROKEN = Trouble("job/backup", "failure", "the job backup failed", "drkit check")
SECRET = "hunter2hunter2"
OUTCOMES = {Change.SUCCESS: Outcome.DONE, Change.RECOVERY: Outcome.DONE, Change.MISSED: None}


class Clock:
    """The test's own time."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        """What it is."""
        return self.at

    def monotonic(self) -> float:
        """Likewise."""
        return self.at.timestamp()


class Reporter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def task(self, name: str) -> Any:
        """Nothing here takes long."""
        raise NotImplementedError(name)

    def note(self, text: str) -> None:
        """Kept too."""
        self.warnings.append(text)

    def warn(self, text: str) -> None:
        """Kept."""
        self.warnings.append(text)


def event(change: Change, job: str = "backup", **changed: Any) -> Event:
    """News of a job that began at noon."""
    outcome = OUTCOMES.get(change, Outcome.FAILED)
    made = Event(
        cluster="docfast",
        job=job,
        kind="backup",
        change=change,
        outcome=outcome,
        was=Health.OK,
        now=Health.OK if outcome is Outcome.DONE else Health.FAILING,
        due=NOON,
        started=None if change is Change.MISSED else NOON,
        ended=NOON,
        exit_code=0 if outcome is Outcome.DONE else 10,
        summary="the box does not answer",
    )
    return replace(made, **changed)


@pytest.fixture
def server() -> Iterator[Sink]:
    """Takes messages and pings."""
    with sink() as made:
        yield made


class Addressed:
    """A notifier whose messages and pings go to a server, and its time."""

    def __init__(self, server: Sink, monkeypatch: pytest.MonkeyPatch, **notify: Any) -> None:
        monkeypatch.setenv("NOTIFY_URL", f"json://{server.place}/messages")
        monkeypatch.setenv("PING_URL", f"http://{server.place}/ping/0123456789abcdef?rid=1")
        self.config = Config.model_validate(
            {
                "cluster": {"name": "docfast"},
                "vaults": {"databases": {"url": "vault", "passphrase": {"env": "X"}}},
                "notify": {"urls": [{"env": "NOTIFY_URL"}], "ping": {"backup": {"env": "PING_URL"}}, **notify},
            }
        )
        self.clock, self.reporter, self._server = Clock(), Reporter(), server

    def fresh(self) -> Notifier:
        """As a process makes it that has just begun."""
        return Notifier(self.config, self.clock, self.reporter)

    def messages(self) -> list[dict[str, str]]:
        """What people got."""
        return [json.loads(each.body) for each in self._server.sent if each.path == "/messages"]

    def pings(self) -> list[tuple[str, str]]:
        """What the dead man's switch got."""
        return [(each.path, each.body) for each in self._server.sent if each.path.startswith("/ping")]


@pytest.fixture
def told(server: Sink, monkeypatch: pytest.MonkeyPatch) -> Addressed:
    """With all that can be configured."""
    return Addressed(server, monkeypatch)


def test_a_failure_is_told_once_then_daily_then_its_end(told: Addressed) -> None:
    """A job that fails every hour of two days: a message, one reminder a day, and one when it is well again."""
    for hour in range(49):
        told.clock.at = NOON + hour * HOUR
        told.fresh()(event(Change.STILL_FAILING if hour else Change.FAILURE))
    told.clock.at = NOON + 49 * HOUR
    told.fresh()(event(Change.RECOVERY))
    told.fresh()(event(Change.SUCCESS))
    got = told.messages()
    assert [each["type"] for each in got] == ["failure"] * 3 + ["success"]
    assert "next: drkit check; then drkit backup" in got[0]["message"]
    assert "(10: vault unreachable" in got[0]["message"]
    assert "(for 1 d 0 h)" in got[1]["message"]
    assert got[3]["title"].startswith("docfast: well again:")
    assert "over after 2 d 1 h" in got[3]["message"]


def test_a_run_that_did_not_come_is_told_and_over_with_the_one_that_makes_up_for_it(told: Addressed) -> None:
    """The box down for a day, then back: an alert is sent, and cleared."""
    told.fresh()(event(Change.MISSED, missed=3))
    told.fresh()(event(Change.SUCCESS))
    assert [(each["type"], each["title"]) for each in told.messages()] == [
        ("warning", "docfast: 3 runs of the job backup did not come when due"),
        ("success", "docfast: well again: 3 runs of the job backup did not come when due"),
    ]


def test_a_dead_mans_switch_hears_of_begin_end_and_failure(told: Addressed) -> None:
    """And of nothing where a run did not come, or was interrupted: its silence is the alarm."""
    notifier = told.fresh()
    notifier.started("backup", "backup")
    for change in (Change.SUCCESS, Change.FAILURE, Change.MISSED, Change.INTERRUPTED):
        notifier(event(change))
    notifier(event(Change.FAILURE, job="prune", kind="prune"))
    assert told.pings() == [
        ("/ping/0123456789abcdef/start?rid=1", ""),
        ("/ping/0123456789abcdef?rid=1", "the box does not answer"),
        ("/ping/0123456789abcdef/fail?rid=1", "the box does not answer"),
    ]


def test_a_ping_is_tried_again_and_its_failure_harms_nobody(server: Sink, told: Addressed) -> None:
    """A server that is busy for a moment gets it; one that refuses is warned of without its address."""
    server.statuses = [503, 500]
    told.fresh().started("backup", "backup")
    assert len(told.pings()) == 3
    assert told.reporter.warnings == []
    server.status = 404
    told.fresh().started("backup", "backup")
    assert told.reporter.warnings == ["notify.ping.backup: it answered with HTTP 404"]
    server.status = 302
    assert Pings().ping(f"http://{server.place}/x", "success") == "it answered with HTTP 302"
    assert "MaxRetryError" in Pings().ping("http://127.0.0.1:1/x", "fail")


def test_a_message_that_nobody_took_is_told_again(server: Sink, told: Addressed) -> None:
    """What was not delivered is not remembered as told; the job is no worse for it."""
    server.status = 500
    told.fresh()(event(Change.FAILURE))
    assert any("nobody took the message" in each for each in told.reporter.warnings)
    server.status = 200
    before = len(told.messages())
    told.fresh()(event(Change.STILL_FAILING))
    told.fresh()(event(Change.STILL_FAILING))
    assert len(told.messages()) == before + 1


def test_only_what_is_wanted_is_told(server: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants to hear of failures alone hears of each again after it was over, without being told that."""
    told = Addressed(server, monkeypatch, on=["failure"])
    for change in (Change.MISSED, Change.FAILURE, Change.RECOVERY, Change.FAILURE):
        told.fresh()(event(change))
    assert [each["type"] for each in told.messages()] == ["failure", "failure"]


def test_no_secret_and_no_flood_gets_out(told: Addressed, capfd: pytest.CaptureFixture[str]) -> None:
    """Registered secrets are masked before lines are cut, control characters are replaced, and long text is short."""
    masking.register(SECRET)
    summary = "x" * 290 + SECRET + "\x1b[2J\n" + "y" * 5000
    told.fresh()(event(Change.FAILURE, summary=summary))
    assert len(told.messages()[0]["message"]) < 700
    seen = json.dumps(told.messages()) + "".join(capfd.readouterr()) + "".join(told.reporter.warnings)
    seen += "".join(body for _, body in told.pings())
    seen += "".join(each.read_text() for each in state.state_dir().glob("notify/*.json"))
    for secret in (SECRET, SECRET[:8], "\\u001b", "\x1b", "0123456789abcdef"):
        assert secret not in seen


def test_where_a_cluster_stands_is_told_as_news(told: Addressed) -> None:
    """Each thing that puts it at risk once, in one message; and while a vault is silent nothing is said to be over."""
    old = point(NOON - 30 * HOUR, verified="restored")
    assert (first := told.fresh().standing(judge(known(old)))) is not None
    assert first.kind == "missed"
    assert told.fresh().standing(judge(known(old))) is None
    silent = judge(known(old, vaults=(VaultSeen("databases", answers=False, error="no route"),), points=()))
    assert (second := told.fresh().standing(silent)) is not None
    assert "no vault can be read" in second.body
    assert "over" not in second.body
    assert (third := told.fresh().standing(judge(known(WELL)))) is not None
    assert (third.kind, third.title) == ("recovery", "docfast: 2 troubles are over")
    assert told.fresh().standing(judge(known(WELL))) is None


def test_a_job_is_told_once_whoever_sees_it_first(told: Addressed) -> None:
    """The scheduler and ``drkit notify`` know the same troubles by the same names."""
    told.fresh()(event(Change.FAILURE))
    failing = judge(known(WELL, jobs=(JobSeen("backup", "backup", failing=True),)))
    assert told.fresh().standing(failing) is None
    assert told.fresh().standing(judge(known(WELL))) is None  # nothing is known of jobs there, so nothing is over
    well = judge(known(WELL, jobs=(JobSeen("backup", "backup", failing=False),)))
    assert told.fresh().standing(well) is not None


def test_what_cannot_work_is_said_when_it_is_configured(
    server: Sink, monkeypatch: pytest.MonkeyPatch, told: Addressed
) -> None:
    """Not when the first failure comes; and no message repeats the address, with its token."""
    for name, value in (("NOTIFY_URL", f"nonsense://{SECRET}"), ("PING_URL", f"ftp://{SECRET}")):
        broken = Addressed(server, monkeypatch)
        monkeypatch.setenv(name, value)
        with pytest.raises(ConfigurationError) as refused:
            broken.fresh()
        assert SECRET not in refused.value.message
    with pytest.raises(ConfigurationError):
        Addressed(server, monkeypatch, urls=[]).fresh().test()


def test_a_test_is_sent_and_says_where_it_was_not_taken(server: Sink, told: Addressed) -> None:
    """Whoever sets it up sees that it works before it is needed."""
    assert told.fresh().test().title == "docfast: a test"
    assert told.messages()[0]["title"] == "docfast: a test"
    server.status = 403
    with pytest.raises(NotDelivered, match=r"notify\.urls\.0"):
        told.fresh().test()


def test_a_memory_that_is_damaged_tells_twice_rather_than_never(told: Addressed) -> None:
    """After a crash, or by hand: what is no memory is none."""
    file = state.state_dir() / "notify" / "docfast.json"
    file.parent.mkdir()
    for text in ("", "[]", '{"job/backup": 5}', '{"job/backup": {"at": "tomorrow", "since": "", "text": ""}}'):
        file.write_text(text)
        told.fresh()(event(Change.FAILURE))
    assert len(told.messages()) == 4


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sets(st.sampled_from("abc"))), max_size=30),
)
def test_nobody_is_flooded_and_nothing_is_kept_from_them(story: list[tuple[int, set[str]]]) -> None:
    """Whatever comes and goes: a trouble is known exactly while it is there, and told once a day at most."""
    memory: Memory = {}
    now = NOON
    last: dict[str, datetime] = {}
    for hours, there in story:
        now += hours * HOUR
        found = [Trouble(key, "failure", key, "hint") for key in there]
        told = news(memory, found, set(memory) - there, now, ALL, DAY)
        if told:
            assert message("docfast", told, memory, now).body
        for each in (*told.new, *told.still):
            assert each.key not in last or now - last[each.key] >= timedelta(days=1)
            last[each.key] = now
        for key in told.over:
            del last[key]
        memory = remembered(memory, told, now)
        assert set(memory) == there


def test_a_clock_that_went_back_reminds_rather_than_falls_silent() -> None:
    """What was told in the future was told long ago."""
    memory = {"job/backup": Told("x", to_text(NOON + 50 * HOUR), to_text(NOON + 50 * HOUR))}
    told = news(memory, [BROKEN], (), NOON, ALL, DAY)
    assert told.still == (BROKEN,)
    assert "unknown time" in message("docfast", told, memory, NOON).body
