"""Faults at their times."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from drkit.drill.injecting import Injecting
from drkit.drill.record import Phase, Recorder, read
from drkit.drill.values import Injection
from drkit.errors import PreflightFailed
from tests.unit.drill.switch import Switch

if TYPE_CHECKING:
    from pathlib import Path

INJECTION = Injection("power-off", "w1", after=0.0, lasts=0.1)


def phases(path: Path) -> list[tuple[int, str]]:
    """What was recorded: of which fault, and what."""
    return [(entry.injection, entry.phase) for entry in read(path) if isinstance(entry, Phase)]


WHOLE = ["armed", "sent", "acknowledged", "confirmed", "undoing", "undone"]


def test_a_fault_is_armed_sent_confirmed_held_and_undone(tmp_path: Path) -> None:
    """Each phase is in the record, in its order, and the fault lasts for as long as it should."""
    fault = Switch()
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([fault], [INJECTION], recorder)
        injecting.begin()
        wait_until_done(injecting)
    assert [phase for _, phase in phases(tmp_path / "record")] == WHOLE
    seen = {entry.phase: entry.at for entry in read(tmp_path / "record") if isinstance(entry, Phase)}
    assert seen["undoing"] - seen["sent"] >= INJECTION.lasts
    assert not fault.on
    assert not injecting.errors


def wait_until_done(injecting: Injecting) -> None:
    """All faults have come and gone."""
    while not injecting.done:
        threading.Event().wait(0.01)


def test_the_second_fault_counts_from_the_first_one(tmp_path: Path) -> None:
    """Two faults may overlap; the later one is sent its time after the earlier one was sent."""
    second = Injection("drain", "w2", after=0.15, lasts=0.05)
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([Switch(), Switch()], [Injection("power-off", "w1", 0, 0.3), second], recorder)
        injecting.begin()
        wait_until_done(injecting)
    sent = [entry.at for entry in read(tmp_path / "record") if isinstance(entry, Phase) and entry.phase == "sent"]
    assert sent[1] - sent[0] >= second.after
    assert [phase for number, phase in phases(tmp_path / "record") if number == 1] == WHOLE


def test_a_stop_undoes_at_once_and_injects_nothing_more(tmp_path: Path) -> None:
    """After Ctrl-C nothing is left: the fault that was there, and the armed one that never came, are both undone."""
    faults = [Switch(), Switch()]
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injections = [Injection("power-off", "w1", 0, 600), Injection("power-off", "w2", 600, 600)]
        injecting = Injecting(faults, injections, recorder)
        injecting.begin()
        assert faults[0].seen.wait(10)
        injecting.stop()
    assert not any(fault.on or fault.armed for fault in faults)
    assert (1, "sent") not in phases(tmp_path / "record")
    assert {(0, "undone"), (1, "undone")} <= set(phases(tmp_path / "record"))


def test_a_fault_whose_word_was_lost_is_undone_all_the_same(tmp_path: Path) -> None:
    """An injection that fails may have come about: it is undone, told, and those after it do not come."""
    fault, next_one = Switch(fails="inject"), Switch()
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([fault, next_one], [INJECTION, INJECTION], recorder)
        injecting.begin()
        wait_until_done(injecting)
    assert not fault.on
    assert [str(error) for error in injecting.errors] == ["gone"]
    assert (1, "sent") not in phases(tmp_path / "record")


def test_a_fault_without_effect_is_unconfirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody saw is never taken for done."""
    monkeypatch.setattr("drkit.drill.injecting.CONFIRM_SECONDS", 0.3)
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([Switch(fails="no-op")], [INJECTION], recorder)
        injecting.begin()
        wait_until_done(injecting)
    assert (0, "unconfirmed") in phases(tmp_path / "record")
    assert (0, "confirmed") not in phases(tmp_path / "record")


def test_an_undo_that_fails_is_told(tmp_path: Path) -> None:
    """The timer will do it; who asked has to know that drkit could not."""
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([Switch(fails="undo")], [INJECTION], recorder)
        injecting.begin()
        wait_until_done(injecting)
    assert [str(error) for error in injecting.errors] == ["gone"]
    assert (0, "undone") not in phases(tmp_path / "record")


def test_nothing_is_injected_where_one_cannot_be_armed(tmp_path: Path) -> None:
    """All undos stand before the first fault comes; those that were armed are taken back."""
    first = Switch()
    with Recorder(tmp_path / "record", 0.0) as recorder:
        injecting = Injecting([first, Switch(fails="arm")], [INJECTION, INJECTION], recorder)
        with pytest.raises(PreflightFailed):
            injecting.begin()
        injecting.stop()
    assert not first.armed
    assert (0, "sent") not in phases(tmp_path / "record")
