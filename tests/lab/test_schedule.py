"""``drkit schedule`` as a user has it: the real command, real backups, and what befalls machines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.clock import to_text
from tests.lab.processes import alive, descendants, named
from tests.lab.site import DRKIT, PASSPHRASE, Site, finish
from tests.lab.test_vault_trouble import BULKY
from tests.lab.waiting import until
from tests.runbooks import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.runbooks import Block

NIGHTLY = ', schedule: "0 3 * * *"'
ALONE = "schedule: {prune: null, verify: null, verify_deep: null}"
BACKUP = "backup/databases"


def _record(site: Site, job: str = BACKUP) -> Path:
    return site.path / f"state/drkit/schedule/shop/{job.replace('/', '.')}.json"


def _shown(site: Site, job: str = BACKUP) -> dict[str, Any]:
    jobs = site.run("schedule", "show", "--json").json()["jobs"]
    return next(each for each in jobs if each["job"] == job)


@contextmanager
def _scheduler(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A scheduler that runs; killed after the test, if it still does."""
    child = site.start("schedule", "run")
    try:
        until(lambda: _holder(site) == child.pid or child.poll() is not None)
        yield child
    finally:
        child.kill()
        child.communicate()


def _holder(site: Site) -> int | None:
    lock = site.path / "state/drkit/locks/schedule-shop.lock"
    try:
        return int(json.loads(lock.read_text())["pid"])
    except (OSError, ValueError):
        return None


def _ended(child: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """End a scheduler; what it said."""
    child.send_signal(signal.SIGTERM)
    ran = finish(child)
    assert ran.status == 0, ran
    return [json.loads(line) for line in ran.err.splitlines()]


def _off_for_days(site: Site) -> None:
    """The machine runs a scheduler for a moment, and then nothing for two days."""
    with _scheduler(site) as child:
        until(_record(site).exists)
        _ended(child)
    record = json.loads(_record(site).read_text())
    record["served"] = to_text(datetime.now(UTC) - timedelta(days=2))
    _record(site).write_text(json.dumps(record))


def test_a_backup_that_was_missed_is_made_and_shown(site: Site, small: str) -> None:
    """After two days without the machine: one whole recovery point, told of in JSON without a secret, and no second."""
    site.write({"a": small}, vault=NIGHTLY, more=ALONE)
    _off_for_days(site)
    with _scheduler(site) as child:
        until(lambda: json.loads(_record(site).read_text())["last"] is not None)
        said = _ended(child)
    (point,) = site.points()
    assert point["complete"]
    events = [line["event"] for line in said if "event" in line]
    assert [event["change"] for event in events] == ["missed", "success"]
    assert events[0]["missed"] == 2
    assert point["id"] in events[1]["summary"]
    assert all({"time", "level", "message"} <= set(line) for line in said)
    assert any(line.get("job") == BACKUP and "database/a: done" in line["message"] for line in said)
    assert PASSPHRASE not in json.dumps(said) + _record(site).read_text()
    shown = _shown(site)
    assert (shown["health"], shown["last"]["exit_code"], shown["running_since"]) == ("ok", 0, None)
    assert shown["next"] > to_text(datetime.now(UTC))
    text = site.run("schedule", "show").out
    assert "NO SCHEDULER RUNS" in text
    assert f"done: recovery point {point['id']}" in text
    with _scheduler(site) as child:
        _ended(child)
    assert len(site.points()) == 1


def test_told_to_end_in_mid_backup(site: Site, database: Callable[..., str], small: str) -> None:
    """SIGTERM undoes the backup and ends the scheduler with 0; the next scheduler makes that backup."""
    site.write({"first": small, "bulky": database(BULKY)}, vault=NIGHTLY, more=ALONE)
    site.run("backup")
    before = site.archives()
    _off_for_days(site)
    with _scheduler(site) as child:
        until(lambda: named(child.pid, "pg_dump") is not None)
        started = descendants(child.pid)
        said = _ended(child)
        assert not any(alive(pid) for pid in started)
    assert [line["event"]["change"] for line in said if "event" in line] == ["missed", "interrupted"]
    assert site.archives() == before
    shown = _shown(site)
    assert (shown["last"]["outcome"], shown["consecutive_failures"]) == ("interrupted", 0)
    with _scheduler(site) as child:
        until(lambda: len(site.points()) == 2, every=0.5)
        until(lambda: json.loads(_record(site).read_text())["running"] is None)
        said = _ended(child)
    assert [line["event"]["change"] for line in said if "event" in line] == ["success"]


def test_killed_in_mid_backup(site: Site, database: Callable[..., str]) -> None:
    """When the scheduler dies its backup dies with it; the next one tells so, and makes it once."""
    site.write({"bulky": database(BULKY)}, vault=NIGHTLY, more=ALONE)
    _off_for_days(site)
    with _scheduler(site) as child:
        until(lambda: named(child.pid, "pg_dump") is not None)
        started = descendants(child.pid)
        child.kill()
        until(lambda: not any(alive(pid) for pid in started))
    assert _shown(site)["running_since"] is None
    with _scheduler(site) as child:
        until(lambda: json.loads(_record(site).read_text())["health"] == "ok")
        said = _ended(child)
    assert [line["event"]["change"] for line in said if "event" in line] == ["failure", "recovery"]
    (point,) = site.points()
    assert {name.split(".")[1] for name in site.archives()} == {point["id"]}


def test_a_changed_configuration_is_taken_up(site: Site, small: str) -> None:
    """One that is wrong is told of once and changes nothing; one that is right gives the jobs their new times."""
    site.write({"a": small}, vault=NIGHTLY, more=ALONE)
    with _scheduler(site) as child:
        assert child.stderr is not None
        until(_record(site).exists)
        right = site.config.read_text()
        site.config.write_text(right.replace("0 3 * * *", "0 3 * *"))
        lines = iter(child.stderr.readline, "")
        said = next(line for line in lines if "cannot be used" in line)
        assert "schedule" in said
        assert json.loads(_record(site).read_text())["cron"] == "0 3 * * *"
        site.config.write_text(right.replace("0 3 * * *", "30 4 1 1 *").replace("prune: null", 'prune: "0 1 1 1 *"'))
        assert "begins anew" in next(line for line in lines if "cannot be used" not in line)
        assert "runs 2 jobs: backup/databases, prune" in next(lines)
        until(lambda: json.loads(_record(site).read_text())["cron"] == "30 4 1 1 *")
        _ended(child)


def test_a_second_scheduler_is_refused(site: Site, small: str) -> None:
    """It ends with 11 and says which process has the jobs; show says it too."""
    site.write({"a": small}, vault=NIGHTLY)
    with _scheduler(site) as child:
        refused = site.run("schedule", "run", expect=11)
        assert f"process {child.pid} (drkit schedule run" in refused.err
        assert f"scheduler: process {child.pid}" in site.run("schedule", "show").out
        assert site.run("schedule", "show", "--json").json()["scheduler"]["running"] is True
        assert child.poll() is None


def test_a_job_that_failed(site: Site, small: str) -> None:
    """The runbook's commands, after a night in which the database could not be reached: all is told, and well again."""
    site.write({"a": small}, vault=NIGHTLY, more=ALONE)
    address = site.path / "from-0.dsn"
    right = address.read_text()
    address.write_text("postgresql://nobody@127.0.0.1:1/nothing")
    _off_for_days(site)
    with _scheduler(site) as child:
        until(lambda: json.loads(_record(site).read_text())["last"] is not None)
        said = _ended(child)
    assert [line["event"]["change"] for line in said if "event" in line] == ["missed", "failure"]
    shown = _shown(site)
    assert (shown["health"], shown["last"]["exit_code"]) == ("failing", 3)
    address.write_text(right)
    site.environment["PATH"] = f"{Path(DRKIT).parent}:{os.environ['PATH']}"
    printed = [_typed(site, block) for block in pages()["scheduled-job"].blocks]
    assert "FAILED: every source failed" in printed[0]
    assert "everything is as it was sealed" in printed[-1]


def _typed(site: Site, block: Block) -> str:
    done = subprocess.run(
        ["sh", "-e", "-c", block.text], cwd=site.path, env=site.env(), capture_output=True, text=True, check=False
    )
    assert done.returncode == block.status, (block.text, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("name", ["drkit", 'a "b" %h $HOME\'s'])
def test_the_unit_is_one_that_systemd_takes(site: Site, small: str, name: str) -> None:
    """Systemd-analyze finds nothing wrong, whatever the directory is called, and confines the service."""
    site.path /= name
    site.path.mkdir()
    site.write({"a": small}, vault=NIGHTLY)
    unit = site.path.parent / "drkit.service"
    unit.write_text(site.run("schedule", "unit").out)
    seen = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (seen.returncode, seen.stderr) == (0, ""), seen.stderr
    lines = unit.read_text().splitlines()
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "KillMode=mixed", "OOMPolicy=continue"} <= set(lines)
    if os.environ.get("USER", "root") == "root":
        assert "User=root" in lines
