"""What drkit keeps on the machine: locks, durable files, work directories."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from drkit import state
from drkit.errors import VaultLocked
from drkit.workspace import remove_orphans, workspace

if TYPE_CHECKING:
    from pathlib import Path

_HOLDER = """
import sys
from drkit import state
with state.exclusive("vault", "drkit backup", 0, RuntimeError, print):
    print("holding", flush=True)
    sys.stdin.read()
"""


def _hold() -> subprocess.Popen[str]:
    """Another process that has the lock."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER], stdin=-1, stdout=-1, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    return holder


def _end(holder: subprocess.Popen[str], number: signal.Signals = signal.SIGKILL) -> None:
    holder.send_signal(number)
    holder.communicate(timeout=20)


def test_a_second_process_is_told_who_holds_the_lock() -> None:
    """After its patience is over it is refused, with the holder's process and what that does."""
    holder = _hold()
    told: list[str] = []
    try:
        with (
            pytest.raises(VaultLocked, match=rf"process {holder.pid} \(drkit backup, since 20"),
            state.exclusive("vault", "drkit prune", 0.2, VaultLocked, told.append),
        ):
            pytest.fail("two processes held the lock")
        assert len(told) == 1
        with state.exclusive("another", "drkit prune", 0, VaultLocked, told.append):
            assert len(told) == 1
    finally:
        _end(holder)


def test_who_only_looks_is_told_the_holder_and_holds_nothing() -> None:
    """The holder is named while it lives; looking keeps nobody from taking the lock."""
    assert state.holder("vault") is None
    process = _hold()
    try:
        assert (state.holder("vault") or "").startswith(f"process {process.pid} (drkit backup, since 20")
    finally:
        _end(process)
    assert state.holder("vault") is None
    with state.exclusive("vault", "drkit prune", 0, VaultLocked, print):
        pass


def test_a_lock_is_free_when_its_holder_was_killed() -> None:
    """A holder that was killed leaves no lock behind."""
    _end(_hold())
    with state.exclusive("vault", "drkit prune", 0, VaultLocked, pytest.fail):
        pass


def test_a_waiting_process_goes_on_when_the_holder_ends() -> None:
    """Whoever waits gets the lock as soon as it is free."""
    holder = _hold()

    def end(description: str) -> None:
        assert str(holder.pid) in description
        _end(holder)

    with state.exclusive("vault", "drkit prune", 20, VaultLocked, end):
        assert holder.poll() is not None


def test_a_file_is_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    """What is written durably can be read by its owner alone, and leaves no other file behind."""
    file = tmp_path / "below" / "file"
    for text in ("old Größe", "new"):
        state.write_durably(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    """What cannot be written leaves the old content and no half file."""
    file = tmp_path / "file"
    state.write_durably(file, "old")
    with pytest.raises(UnicodeEncodeError):
        state.write_durably(file, "\ud800")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_state_and_cache_follow_the_base_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables count where they are absolute, else the user's home; both directories are private."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert state.state_dir() == tmp_path / "s/drkit"
    assert state.cache_dir() == tmp_path / ".cache/drkit"
    assert stat.S_IMODE(state.state_dir().stat().st_mode) == 0o700


def test_a_workspace_is_private_and_goes_with_its_work(tmp_path: Path) -> None:
    """Nothing remains of a work directory, however the work ended."""
    work = workspace(tmp_path / "staging")
    directory = work.__enter__()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (directory / "file").write_text("data")
    assert not work.__exit__(KeyError, KeyError(), None)
    assert list((tmp_path / "staging").iterdir()) == []


def test_workspaces_of_dead_processes_are_removed(tmp_path: Path) -> None:
    """What a killed process left goes; what belongs to a living one, or only looks like a workspace, stays."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("kept")
    gone = tmp_path / f"drkit-{dead.pid}-abc"
    kept = [tmp_path / f"drkit-{os.getpid()}-abc", tmp_path / "drkit-backup", tmp_path / f"other-{dead.pid}-abc"]
    for directory in (gone, *kept):
        directory.mkdir()
    link = tmp_path / f"drkit-{dead.pid}-link"
    link.symlink_to(target)
    remove_orphans(tmp_path)
    assert not gone.exists()
    assert all(directory.exists() for directory in kept)
    assert (target / "file").read_text() == "kept"
