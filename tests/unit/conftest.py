"""What all unit tests share: no test sees the state of the machine that it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from drkit import masking

if TYPE_CHECKING:
    from pathlib import Path

settings.register_profile("drkit", max_examples=40, deadline=None)  # the machine may be busy with something else
settings.load_profile("drkit")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, cache and the register of secrets are the test's own."""
    base: Path = tmp_path_factory.mktemp("xdg")
    monkeypatch.setenv("XDG_STATE_HOME", str(base / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))
    monkeypatch.setattr(masking, "_secrets", set())
