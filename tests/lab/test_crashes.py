"""Runs that are interrupted or killed, at whatever instant: nothing half-done is taken for whole, nothing stays."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from drkit.restore.aside import working_name
from tests.lab.processes import alive, command_line, descendants, environment, named
from tests.lab.site import PASSPHRASE, Site, finish
from tests.lab.test_vault_trouble import BULKY
from tests.lab.waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


def _stored(site: Site) -> int:
    """How many bytes the vault's segments have."""
    return sum(file.stat().st_size for file in (site.vault / "data").rglob("*") if file.is_file())


def _kill(child: subprocess.Popen[str], number: signal.Signals = signal.SIGKILL) -> list[int]:
    """Kill drkit alone; returns the processes that it had started."""
    started = descendants(child.pid)
    child.send_signal(number)
    child.wait()
    return started


MOMENTS: dict[str, Callable[[Site, subprocess.Popen[str]], bool]] = {
    "while connecting": lambda _, child: named(child.pid, "borg") is not None,
    "when pg_dump starts": lambda _, child: named(child.pid, "pg_dump") is not None,
    "with data in the vault": lambda site, _: _stored(site) > 4_000_000,
    "after the first archive": lambda _, child: "database/first: done" in _so_far(child),
    "before the descriptor": lambda _, child: "globals/first: done" in _so_far(child),
}


def _so_far(child: subprocess.Popen[str]) -> str:
    """What the command said on stderr until now; it is read line by line, as somebody watching would."""
    assert child.stderr is not None
    said = getattr(child, "said", "")
    os.set_blocking(child.stderr.fileno(), False)
    with suppress(BlockingIOError):
        said += os.read(child.stderr.fileno(), 65536).decode()
    child.said = said  # type: ignore[attr-defined]
    return said


@pytest.mark.parametrize("moment", MOMENTS)
def test_backup_killed(site: Site, database: Callable[..., str], small: str, moment: str) -> None:
    """After kill -9 no point is listed that is not whole, no process stays, and the next run cleans up and works."""
    site.write({"first": small, "bulky": database(BULKY)})
    site.run("backup")
    before = [point["id"] for point in site.points()]
    with site.connect("postgres"):
        child = site.start("backup")
        until(lambda: MOMENTS[moment](site, child) or child.poll() is not None)
        assert child.poll() is None, "it was over before it could be killed"
        started = _kill(child)
    until(lambda: not any(alive(pid) for pid in started))
    assert [point["id"] for point in site.points()] == before
    site.run("verify")
    site.run("backup")
    points = site.points()
    assert len(points) == len(before) + 1
    assert all(point["complete"] for point in points)
    of_points = {name.split(".")[1] for name in site.archives()}
    assert of_points == {point["id"] for point in points}, "archives of the run that was killed are still there"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_backup_interrupted(site: Site, database: Callable[..., str], small: str, number: signal.Signals) -> None:
    """After Ctrl-C or SIGTERM the exit code is 130 and what had been stored is gone again, at once."""
    site.write({"first": small, "bulky": database(BULKY)})
    site.run("backup")
    before = site.archives()
    child = site.start("backup")
    until(lambda: "database/first: done" in _so_far(child) or child.poll() is not None)
    child.send_signal(number)
    ran = finish(child)
    assert ran.status == 130, ran
    assert site.archives() == before
    site.run("backup")


@pytest.mark.parametrize("option", [["--resume"], []], ids=["resumed", "anew"])
def test_restore_killed(
    site: Site, database: Callable[..., str], absent: Callable[..., str], option: list[str]
) -> None:
    """Killed in mid-load, a restore leaves no database of that name; the next one ends as if nothing had happened."""
    second = absent()
    site.write({"b": database(BULKY)}, targets={"b": second})
    site.run("backup")
    child = site.start("restore", "--to", "spare")
    until(lambda: _loading(site, working_name(second)) or child.poll() is not None)
    started = _kill(child)
    until(lambda: not any(alive(pid) for pid in started))
    assert not _exists(site, second)
    assert _exists(site, working_name(second))
    report = site.run("restore", "--to", "spare", *option, "--json").json()
    assert report["proofs_equal"] is True
    assert [attempt["status"] for attempt in report["attempts"]] == [*(["killed"] if option else []), "finished"]
    site.run("restore", "--to", "spare", "--resume", expect=16)
    assert not _exists(site, working_name(second))
    with site.connect(second) as connection:
        assert connection.execute("select count(*) from bulky").fetchone() == (3000,)


def test_restore_killed_in_a_database_that_was_there(site: Site, database: Callable[..., str]) -> None:
    """Killed in mid-load, a restore into an empty database leaves it as empty as it was; --resume finishes it."""
    there = database()
    site.write({"b": database(BULKY)}, targets={"b": there})
    site.run("backup")
    child = site.start("restore", "--to", "spare")
    until(lambda: _loading(site, there) or child.poll() is not None)
    started = _kill(child)
    until(lambda: not any(alive(pid) for pid in started))
    until(lambda: not _others(site, there))
    with site.connect(there) as connection:
        assert connection.execute("select to_regclass('public.bulky')").fetchone() == (None,)
    assert site.run("restore", "--to", "spare", "--resume", "--json").json()["proofs_equal"] is True
    with site.connect(there) as connection:
        assert connection.execute("select count(*) from bulky").fetchone() == (3000,)


def test_a_name_that_is_taken_meanwhile_is_left_alone(
    site: Site, database: Callable[..., str], absent: Callable[..., str]
) -> None:
    """A database that somebody makes under the name during the restore stays; what was restored stays aside."""
    there = absent()
    site.write({"b": database(BULKY)}, targets={"b": there})
    site.run("backup")
    child = site.start("restore", "--to", "spare")
    until(lambda: _loading(site, working_name(there)) or child.poll() is not None)
    with site.connect("postgres") as server:
        server.execute(f"create database {there}")
    ran = finish(child)
    assert ran.status == 14, ran
    assert working_name(there) in ran.err
    with site.connect("postgres") as server:
        server.execute(f"drop database {there}")
    site.run("restore", "--to", "spare", "--resume")
    with site.connect(there) as connection:
        assert connection.execute("select count(*) from bulky").fetchone() == (3000,)


def _exists(site: Site, database: str) -> bool:
    with site.connect("postgres") as server:
        return server.execute("select from pg_database where datname = %s", [database]).fetchone() is not None


def _loading(site: Site, database: str) -> bool:
    with site.connect("postgres") as server:
        row = server.execute(
            "select count(*) from pg_stat_activity where datname = %s and query like 'COPY%%'", [database]
        ).fetchone()
    return row is not None and row[0] > 0


def _others(site: Site, database: str) -> bool:
    with site.connect("postgres") as server:
        row = server.execute("select count(*) from pg_stat_activity where datname = %s", [database]).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_restore_interrupted(
    site: Site, database: Callable[..., str], absent: Callable[..., str], number: signal.Signals
) -> None:
    """After Ctrl-C or SIGTERM a restore exits with 130, throws away what was being loaded, and can be resumed."""
    there = absent()
    site.write({"b": database(BULKY)}, targets={"b": there})
    site.run("backup")
    child = site.start("restore", "--to", "spare")
    until(lambda: _loading(site, working_name(there)) or child.poll() is not None)
    child.send_signal(number)
    assert finish(child).status == 130
    assert not _exists(site, there)
    assert not _exists(site, working_name(there))
    site.run("restore", "--to", "spare", "--resume")


def test_resume_after_the_load_was_committed(site: Site, small: str, absent: Callable[..., str]) -> None:
    """Killed between the commit and the journal's word of it, the restore sees that the step is done."""
    there = absent()
    site.write({"a": small}, targets={"a": there})
    site.run("backup")
    site.run("restore", "--to", "spare")
    journal = next((site.path / "state/drkit/restores/spare").iterdir())
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if '"load' in line and '"done"' in line)
    journal.write_text("".join(lines[:cut]) + lines[cut][:10])
    assert site.run("restore", "--to", "spare", "--resume", "--json").json()["proofs_equal"] is True


def test_secrets_are_in_no_process_and_no_output(site: Site, database: Callable[..., str]) -> None:
    """Passphrase and password show in no argument, no environment and no message of anything that a backup starts."""
    site.write({"bulky": database(BULKY)})
    secrets = [PASSPHRASE, site.postgres.password]
    child = site.start("backup", "--json")
    programs: set[str] = set()
    while child.poll() is None:
        for pid in [child.pid, *descendants(child.pid)]:
            line = command_line(pid)
            programs.update(word.rpartition("/")[2] for word in line[:6])
            for secret in secrets:
                assert secret not in " ".join(line)
                assert secret not in environment(pid)
    ran = finish(child)
    assert ran.status == 0
    assert {"borg", "pg_dump", "gate.py"} <= programs
    texts = [ran.out, ran.err, *(file.read_text(errors="replace") for file in (site.path / "state").rglob("*.json*"))]
    assert not any(secret in text for secret in secrets for text in texts)
