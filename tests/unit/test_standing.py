"""Could this cluster be lost right now? Judged from values, shown as text and as a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit import state
from drkit.config.model import Config
from drkit.observe.log import TextLog
from drkit.observe.standing import jobs, limits, page, text
from drkit.observe.standing.judge import AT_RISK, NOTE, SAFE, VERDICTS, WOULD_BE_LOST, Standing, judge
from drkit.observe.standing.known import EscrowSeen, JobSeen, Known, PointSeen, RestoreSeen, VaultSeen
from drkit.points.catalogue import Catalogue
from drkit.points.status import stand
from drkit.schedule import record
from drkit.schedule.events import Health, Outcome
from drkit.schedule.record import Ended
from drkit.schedule.store import Store, lock_name
from drkit.schedule.timing import Times
from tests import pages
from tests.unit.builders import NOON, failed, point, source

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.points.point import Point

HOUR = timedelta(hours=1)
EVIL = 'database/<script>alert(1)</script>&"\x1b[2J'


def config(*names: str) -> Config:
    """Databases by connection string, every six hours."""
    return Config.model_validate(
        {
            "cluster": {"name": "docfast"},
            "vaults": {"databases": {"url": "vault", "passphrase": {"env": "X"}, "schedule": "0 */6 * * *"}},
            "databases": [{"name": name, "dsn": {"env": "X"}} for name in names],
        }
    )


def known(*points: Point, names: tuple[str, ...] = ("billing",), **changed: Any) -> Known:
    """What is known an hour after noon."""
    now = NOON + HOUR
    status = stand(config(*names), Catalogue(points), now, None)
    seen = tuple(
        PointSeen(
            each.id,
            each.summary.created,
            each.complete,
            *((each.verified.level, each.verified.at) if each.verified else ()),
        )
        for each in points
    )
    vault = VaultSeen("databases", answers=True, schedule="0 */6 * * *", every=6 * 3600, points=len(points))
    return replace(Known(now, status, (vault,), seen), **changed)


def keys(standing: Standing, *weights: str) -> list[str]:
    """The names of its findings of these weights."""
    return [each.key for each in standing.findings if each.weight in weights]


WELL = point(NOON, verified="restored")


def test_what_is_young_and_proven_is_safe() -> None:
    """A cluster whose every source has a young backup that a restore proved is safe, and nothing is held against it."""
    standing = judge(known(WELL))
    assert (standing.verdict, standing.why, standing.findings) == (SAFE, (), ())
    assert standing.as_json()["sources"][0]["age_limit"] == 7 * 3600


def test_nothing_to_bring_it_back_from_is_lost() -> None:
    """No point, a source that was never backed up, no vault that answers: each of them means that it would be lost."""
    silent = (VaultSeen("databases", answers=False, error="no route to host"),)
    for case, key in (
        (known(), "points"),
        (known(WELL, names=("billing", "new")), "source/database/new"),
        (known(WELL, vaults=silent), "vaults"),
    ):
        standing = judge(case)
        assert standing.verdict == WOULD_BE_LOST
        assert key in keys(standing, WOULD_BE_LOST)
        assert all(each.hint for each in standing.findings)


def test_a_vault_that_does_not_answer_is_no_loss_while_another_does() -> None:
    """What it holds is not known, which is a risk; nobody may be told that it is lost."""
    vaults = (VaultSeen("databases", answers=False, error="down"), VaultSeen("cluster", answers=True))
    standing = judge(known(WELL, names=("billing", "new"), vaults=vaults))
    assert standing.verdict == AT_RISK
    assert keys(standing, AT_RISK) == ["vault/databases"]
    assert any("not known" in line for line in text.of_standing(standing))


@pytest.mark.parametrize(
    ("hours", "verdict"), [(7, SAFE), (8, AT_RISK)], ids=["within its schedule and an hour", "beyond"]
)
def test_a_source_is_too_old_by_its_vaults_schedule(hours: int, verdict: str) -> None:
    """Six hours between two runs allow seven, for the run itself; not the same for every user."""
    assert judge(known(point(NOON + HOUR - hours * HOUR, verified="restored"))).verdict == verdict


def test_a_run_that_failed_for_a_source_is_a_risk_while_its_last_backup_is_young() -> None:
    """The next failure would make it old: it is told before that."""
    older = point(NOON - HOUR, verified="restored")
    standing = judge(known(point(NOON, [failed("database/billing"), source("database/other")]), older))
    assert "source/database/billing" in keys(standing, AT_RISK)
    assert any("the server went away" in each for each in standing.why)


def test_a_backup_that_nothing_proved_is_a_risk() -> None:
    """Never proven, proven too long ago, and one source of several left out: each is told as what it is."""
    assert keys(judge(known(point(NOON))), AT_RISK) == ["proof"]
    assert keys(judge(known(point(NOON, verified="checksums"))), AT_RISK) == ["proof"]
    long_ago = point(NOON - 9 * 24 * HOUR, verified="restored")
    assert "proof" in keys(judge(known(point(NOON), long_ago)), AT_RISK)
    partly = point(NOON - HOUR, verified="restored")
    both = point(NOON, [source(), source("database/b")])
    assert keys(judge(known(both, partly)), AT_RISK) == ["proof/database/b"]


def test_a_database_that_was_dropped_is_no_risk() -> None:
    """It is told, and its age is held against nobody; one that could not be asked for is not taken for dropped."""
    before = point(NOON - 30 * HOUR, [source(), source("database/ns/c/old", kind="database")], verified="restored")
    standing = judge(known(WELL, before))
    assert standing.verdict == SAFE
    assert keys(standing, NOTE) == ["source/database/ns/c/old"]
    unasked = point(NOON, [source(), failed("database/ns/c")], verified="restored")
    assert "source/database/ns/c/old" in keys(judge(known(unasked, before)), AT_RISK)


def test_jobs_escrow_drills_and_restores_count() -> None:
    """What fails, what did not run, keys that nobody else has, are risks; a restore that was cut short is a note."""
    jobs = (
        JobSeen("backup/databases", "backup", failing=True, summary="exit 10"),
        JobSeen("prune", "prune", failing=False, due="2026-03-01T11:00:00Z"),
        JobSeen("verify-deep", "verify-deep", failing=False, due="2026-03-01T12:45:00Z"),
    )
    cut = RestoreSeen("spare", "r1", "2026-03-01T00:00:00Z", "etcd", 12.0, None, finished=False)
    standing = judge(known(WELL, jobs=jobs, escrow=EscrowSeen(None), restores=(cut,)))
    assert keys(standing, AT_RISK) == ["job/backup/databases", "job/prune/missed", "escrow"]
    assert keys(standing, NOTE) == ["restore/spare"]
    old = judge(known(WELL, escrow=EscrowSeen("2026-01-01T00:00:00Z", ("signing.key",))))
    assert keys(old, AT_RISK) == ["escrow"]


def test_a_volume_in_no_source_is_a_risk() -> None:
    """Its data would be lost with its node."""
    volume = {"namespace": "a", "claim": "data", "size": "1Gi", "storage_class": "local-path", "used_by": []}
    seen = known(WELL)
    standing = judge(replace(seen, status=replace(seen.status, volumes=(volume,))))
    assert keys(standing, AT_RISK) == ["volume/a/data"]


@given(
    answers=st.booleans(),
    ages=st.lists(st.integers(0, 400), max_size=4),
    proven=st.booleans(),
    escrow=st.sampled_from([None, EscrowSeen(None), EscrowSeen("2026-02-01T00:00:00Z")]),
)
def test_the_verdict_is_the_worst_finding_and_says_why(
    answers: bool, ages: list[int], proven: bool, escrow: EscrowSeen | None
) -> None:
    """Whatever is known: no verdict but safe without a reason, none worse than its worst, and text and page hold."""
    points = [point(NOON - age * HOUR, verified="restored" if proven else None) for age in sorted(ages)]
    vaults = (VaultSeen("databases", answers=answers, error="" if answers else "down"),)
    standing = judge(known(*points, vaults=vaults, escrow=escrow))
    weights = [each.weight for each in standing.findings if each.weight != NOTE]
    assert standing.verdict == max(weights, key=VERDICTS.index, default=SAFE)
    assert bool(standing.why) == (standing.verdict != SAFE)
    assert (standing.verdict == SAFE) <= (answers and proven)
    assert next(text.of_standing(standing)).startswith(f"docfast: {standing.verdict.upper()}")
    pages.self_contained(page.html(standing))


def test_the_first_line_is_the_answer() -> None:
    """Who sees one line knows it, and the worst reason for it; untrusted names do not reach the terminal raw."""
    lines = list(text.of_standing(judge(known(point(NOON, [source(), source(EVIL)])))))
    assert lines[0] == "docfast: AT RISK: no backup was ever proven by a restore"
    assert "\x1b" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("schedule", "longest"),
    [
        ("0 */6 * * *", 6 * 3600),
        ("0 3 * * *", 86400),
        ("0 3 * * 0", 7 * 86400),
        ("* * * * 1-5", 2 * 86400 + 60),
        ("0 0 1 * *", 31 * 86400),
        ("0 0 31 2 *", None),
        ("nonsense", None),
    ],
)
def test_the_longest_time_between_two_runs(schedule: str, longest: float | None) -> None:
    """Weekends and long months count; what is no schedule bounds nothing."""
    assert limits.every(schedule) == longest


def test_the_page_is_whole_and_takes_names_for_text() -> None:
    """One file without script, font or address; a name that looks like markup stays a name."""
    standing = judge(known(point(NOON, [source(), source(EVIL)]), names=("billing", "new")))
    shown = "".join(pages.self_contained(page.html(standing)).shown)
    assert "Would be lost" in shown
    assert "database/<script>alert(1)</script>" in shown
    assert "\x1b" not in shown


@pages.browser_needed
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_its_window(width: int, tmp_path: Path) -> None:
    """Nothing runs out of a telephone's or a screen's width; wide tables scroll in themselves."""
    html = page.html(judge(known(point(NOON, [source(), source(EVIL * 4)]), names=("billing", "new"))))
    said = pages.measured(html, "return {over: document.documentElement.scrollWidth - innerWidth}", width, tmp_path)
    assert said["over"] <= 0


def test_the_schedulers_own_records_say_where_its_jobs_stand(tmp_path: Path) -> None:
    """None where no scheduler ever ran here; else what failed, what is due, and how often it should come."""
    wanted, file = config("billing"), tmp_path / "drkit.yaml"
    assert jobs.seen(wanted, file, NOON) == ()
    store = Store("docfast", TextLog())
    run = {"due": NOON, "started": NOON, "ended": NOON + HOUR, "seconds": 3600.0, "summary": "the box is away"}
    last = Ended.model_validate({**run, "outcome": Outcome.FAILED, "exit_code": 10})
    fresh = record.new(Times("0 */6 * * *"), NOON)
    store.put("backup/databases", fresh.model_copy(update={"health": Health.FAILING, "last": last}))
    [found] = jobs.seen(wanted, file, NOON + HOUR)
    assert (found.name, found.failing, found.exit_code, found.summary) == (
        "backup/databases",
        True,
        10,
        "the box is away",
    )
    assert (found.due, found.every, found.succeeded) == ("2026-03-01T18:00:00Z", 6 * 3600, None)
    late = NOON + 8 * HOUR
    assert keys(judge(known(WELL, now=late, jobs=jobs.seen(wanted, file, late))), AT_RISK) == ["job/backup/databases"]
    with state.exclusive(lock_name("docfast"), "drkit schedule run", 0, RuntimeError, lambda _: None):
        assert jobs.seen(wanted, file, late)[0].due == "2026-03-01T20:00:00Z"
