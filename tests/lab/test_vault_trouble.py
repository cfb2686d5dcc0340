"""A vault that is locked, gone, full, cut off, damaged, or tampered with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from drkit.lab import box as boxes
from drkit.lab.ports import free_port
from tests.lab.proxy import cutting_proxy
from tests.lab.site import BORG, PASSPHRASE, Site, finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drkit.lab.box import LabBox

BULKY = """
create table bulky (id int, content text);
select setseed(0.5);
insert into bulky select g, (select string_agg(md5(random()::text || g || h), '') from generate_series(1, 200) h)
  from generate_series(1, 3000) g;
"""
"""About 20 MB that do not compress away."""


def ssh_of(box: LabBox, known_hosts: Path | None = None) -> str:
    """The vault's keys for a site that uses this box."""
    return f", ssh: {{key: {box.key}, known_hosts: {known_hosts or box.known_hosts}}}"


def test_wrong_passphrase(site: Site, small: str) -> None:
    """A wrong passphrase is exit 12 for every command, and the passphrase is in no message."""
    site.write({"shop": small})
    site.run("backup")
    (site.path / "passphrase").write_text("not the right one\n")
    for command in (["backup"], ["points"], ["verify"], ["restore", "--into", "out"]):
        ran = site.run(*command, expect=12)
        assert "not the right one" not in ran.out + ran.err
    site.run("check", expect=12)


def test_unknown_host_key_is_shown_and_can_be_accepted(site: Site, small: str, box: LabBox) -> None:
    """An unknown host key is exit 10 with its fingerprint and the command that accepts it, which then works."""
    known_hosts = site.path / "hosts"
    site.write({"shop": small}, url=box.url("db"), vault=ssh_of(box, known_hosts))
    ran = site.run("backup", expect=10)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", str(box.directory / "host_key.pub")], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert "unknown" in ran.err
    assert f"drkit check --accept-host-key {fingerprint}" in ran.err
    site.run("check", "--accept-host-key", "SHA256:" + "A" * 43, expect=10)
    assert not known_hosts.exists()
    site.run("check", "--accept-host-key", fingerprint)
    site.run("backup")


def test_changed_host_key_is_refused_with_both_fingerprints(site: Site, small: str, box: LabBox) -> None:
    """A changed host key is exit 10, says that it changed, and shows the old and the new fingerprint."""
    site.write({"shop": small}, url=box.url("db"), vault=ssh_of(box))
    site.run("backup")
    box.new_host_key()
    ran = site.run("backup", expect=10)
    assert "has changed" in ran.err
    assert "offered now: SHA256:" in ran.err
    assert "known_hosts: SHA256:" in ran.err
    new = next(line.split()[2] for line in ran.err.splitlines() if "offered now" in line)
    site.run("check", "--accept-host-key", new)
    site.run("points")


def test_unreachable_vault(site: Site, small: str, box: LabBox) -> None:
    """Nobody listening is exit 10, for backup as for everything else."""
    site.write({"shop": small}, url=box.url("db", port=free_port()), vault=ssh_of(box))
    for command in ("backup", "points", "verify", "check"):
        site.run(command, expect=10)


def test_no_repository_where_one_should_be(site: Site, small: str) -> None:
    """A mistyped path does not look like an empty vault, and a vanished repository is not made anew in silence."""
    site.write({"shop": small})
    site.run("points", expect=10)
    site.run("backup")
    site.vault.rename(site.path / "moved")
    ran = site.run("backup", expect=10)
    assert "is gone" in ran.err
    assert not site.vault.exists()


def test_full_vault(site: Site, database: Callable[..., str], small: str, lab_directory: Path) -> None:
    """A quota that is reached in mid-transfer is exit 3 and seals nothing; with room again the next run works."""
    bulky = database(BULKY + "insert into bulky select id, reverse(content) from bulky;")
    directory = lab_directory / "full"
    directory.mkdir()
    with boxes.box(directory, quota="10M") as box:
        site.write({"shop": small, "bulky": bulky}, url=box.url("db"), vault=ssh_of(box))
        ran = site.run("backup", expect=3)
        assert "full" in ran.err
        assert "nothing was sealed" in ran.err
        assert site.points() == []
        site.write({"shop": small}, url=box.url("db"), vault=ssh_of(box))
        site.run("backup")
        site.run("verify", "--deep")


def test_connection_cut_in_mid_transfer(site: Site, database: Callable[..., str], box: LabBox) -> None:
    """A cut connection is exit 3 with nothing sealed; the next run works, cleans up, and verifies."""
    bulky = database(BULKY)
    with cutting_proxy(box.port) as proxy:
        known_hosts = site.path / "hosts"
        key = (box.directory / "host_key.pub").read_text().split()
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {key[0]} {key[1]}\n")
        site.write({"bulky": bulky}, url=box.url("db", port=proxy.port), vault=ssh_of(box, known_hosts))
        proxy.cut_after(3_000_000)
        ran = site.run("backup", expect=3)
        assert proxy.cuts > 0
        assert "nothing was sealed" in ran.err
        proxy.heal()
        assert site.points() == []
        site.run("backup")
        site.run("verify", "--deep")
        assert len(site.points()) == 1


def test_a_restore_goes_on_after_its_connection_was_cut(
    site: Site, database: Callable[..., str], absent: Callable[..., str], box: LabBox
) -> None:
    """Cut in the middle of an archive, a restore waits, goes on, and ends as if nothing had been."""
    restored = absent()
    with cutting_proxy(box.port) as proxy:
        known_hosts = site.path / "hosts"
        key = (box.directory / "host_key.pub").read_text().split()
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {key[0]} {key[1]}\n")
        vault = ssh_of(box, known_hosts)
        site.write({"b": database(BULKY)}, targets={"b": restored}, url=box.url("db", port=proxy.port), vault=vault)
        site.run("backup")
        proxy.cut_after(3_000_000, downstream=True)
        restoring = site.start("restore", "--to", "spare", "--json")
        until(lambda: proxy.cuts > 0 or restoring.poll() is not None)
        proxy.heal()
        done = finish(restoring)
    assert done.status == 0, done
    assert "trying again" in done.err
    assert done.json()["proofs_equal"] is True


def test_lock_held_by_a_living_process(site: Site, small: str) -> None:
    """While another program holds the repository, drkit waits as long as it was told and then exits 11."""
    site.write({"shop": small})
    site.run("backup")
    environment = {**site.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(site.path / "other-borg")}
    environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
    holder = subprocess.Popen([BORG, "with-lock", str(site.vault), "sleep", "600"], env=environment)
    try:
        until((site.vault / "lock.exclusive").exists)
        ran = site.run("backup", expect=11)
        assert "lock" in ran.err
    finally:
        holder.terminate()
        holder.wait()
    until(lambda: not (site.vault / "lock.exclusive").exists())
    site.run("backup")


def test_lock_of_a_dead_process_is_no_obstacle(site: Site, small: str) -> None:
    """A repository that was locked by a process which was killed is taken over."""
    site.write({"shop": small})
    site.run("backup")
    environment = {**site.env(), "BORG_PASSPHRASE": PASSPHRASE, "BORG_BASE_DIR": str(site.path / "other-borg")}
    environment["BORG_RELOCATED_REPO_ACCESS_IS_OK"] = "yes"
    holder = subprocess.Popen(
        [BORG, "with-lock", str(site.vault), "sleep", "600"], env=environment, start_new_session=True
    )
    until((site.vault / "lock.exclusive").exists)
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (site.vault / "lock.exclusive").exists()
    site.run("backup")


def test_second_run_waits_or_says_who_holds_the_lock(site: Site, database: Callable[..., str]) -> None:
    """Of two runs at once, the second waits; with too little patience it names the holder and exits 11."""
    bulky = database(BULKY)
    site.write({"bulky": bulky})
    with site.connect(bulky) as blocker:
        # An exclusive lock on a table holds the first run where it is.
        blocker.autocommit = False
        blocker.execute("lock table bulky in access exclusive mode")
        first = site.start("backup")
        locks = site.path / "state/drkit/locks"
        until(lambda: any("drkit backup" in lock.read_text() for lock in locks.glob("vault-*.lock")))
        second = site.run("backup", expect=11)
        assert str(first.pid) in second.err
        blocker.rollback()
    assert finish(first).status == 0


def test_descriptor_with_one_byte_changed(site: Site, small: str) -> None:
    """A descriptor that somebody with the passphrase changed by a byte is never shown or restored as genuine."""
    site.write({"shop": small})
    site.run("backup")
    name = next(name for name in site.archives() if name.endswith(".point"))
    comment = json.loads(site.borg("info", "--json", f"::{name}").out)["archives"][0]["comment"]
    text = site.borg("extract", "--stdout", f"::{name}").out
    changed = site.path / "descriptor.json"
    changed.write_text(text.replace('"rows": 500', '"rows": 501', 1))
    assert changed.read_text() != text
    site.borg("delete", f"::{name}")
    site.borg("create", "--comment", comment, f"::{name}", changed.name)
    ran = site.run("verify", expect=13)
    assert "descriptor" in ran.out
    site.run("points", "show", expect=13)
    site.run("restore", "--into", "out", expect=13)


def test_summary_with_one_byte_changed(site: Site, small: str) -> None:
    """A summary that was tampered with is no recovery point, and the listing says so."""
    site.write({"shop": small})
    site.run("backup")
    name = next(name for name in site.archives() if name.endswith(".point"))
    comment = json.loads(site.borg("info", "--json", f"::{name}").out)["archives"][0]["comment"]
    text = site.borg("extract", "--stdout", f"::{name}").out
    (site.path / "descriptor.json").write_text(text)
    site.borg("delete", f"::{name}")
    position = len(comment) // 2
    other = "B" if comment[position] == "A" else "A"
    site.borg(
        "create", "--comment", comment[:position] + other + comment[position + 1 :], f"::{name}", "descriptor.json"
    )
    listed = site.run("points", "--json").json()
    assert listed["points"] == []
    assert len(listed["problems"]) == 1
    site.run("verify", expect=13)


def test_archive_deleted_behind_drkits_back(site: Site, small: str, absent: Callable[..., str]) -> None:
    """A point whose archive is gone is incomplete at once, fails verification, and the older whole copy is used."""
    site.write({"shop": small}, targets={"shop": absent()})
    site.run("backup")
    site.run("backup")
    newest, older = site.points()
    victim = next(source["archive"] for source in newest["sources"] if source["name"] == "database/shop")
    site.borg("delete", f"::{victim}")
    newest, older = site.points()
    assert newest["complete"] is False
    assert newest["missing"] == ["database/shop"]
    assert older["complete"] is True
    site.run("verify", expect=13)
    plan = site.run("restore", "--to", "spare", "--plan", "--json").json()["plan"]
    drawn = {each["source"]: each["point"] for each in plan["draws_on"]}
    assert drawn["database/shop"] == older["id"]
    assert plan["warnings"]
    site.run("restore", "--to", "spare", "--point", newest["id"], expect=16)


def test_archive_replaced_behind_drkits_back(site: Site, small: str) -> None:
    """An archive of the same name with other content is not the one that was sealed."""
    site.write({"shop": small})
    site.run("backup")
    victim = next(source["archive"] for source in site.points()[0]["sources"] if source["name"] == "database/shop")
    (site.path / "database.dump").write_bytes(b"PGDMP something else")
    site.borg("delete", f"::{victim}")
    site.borg("create", f"::{victim}", "database.dump")
    assert site.points()[0]["complete"] is False
    site.run("verify", expect=13)


@pytest.mark.parametrize("command", [["verify"], ["verify", "latest"], ["verify", "--deep"]])
def test_corrupted_segment(site: Site, database: Callable[..., str], command: list[str]) -> None:
    """One flipped bit in the repository fails every kind of verification."""
    site.write({"bulky": database(BULKY)})
    site.run("backup")
    segment = max((site.vault / "data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    with segment.open("r+b") as file:
        position = segment.stat().st_size // 3
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))
    site.run(*command, expect=13)


def test_clock_an_hour_back(site: Site, small: str) -> None:
    """After the clock went back an hour the newest point is still the one that was made last, and verifies."""
    site.write({"shop": small})
    site.run("backup")
    first = site.points()[0]["id"]
    shifted = site.path / "shifted"
    shifted.mkdir()
    (shifted / "sitecustomize.py").write_text(_CLOCK_AN_HOUR_BACK)
    site.environment["PYTHONPATH"] = str(shifted)
    ran = site.run("backup")
    assert "clock" in ran.err
    del site.environment["PYTHONPATH"]
    points = site.points()
    assert points[1]["id"] == first
    assert len(points) == 2
    site.run("verify")
    site.run("backup")
    assert len(site.points()) == 3
    assert site.points()[0]["id"] not in {point["id"] for point in points}


_CLOCK_AN_HOUR_BACK = """
import datetime, time
_time, _datetime = time.time, datetime.datetime
time.time = lambda: _time() - 3600
class Shifted(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Shifted
"""
