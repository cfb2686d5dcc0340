"""``drkit drill list``: what scripts and people are shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import drkit
from drkit.cli.main import app
from drkit.drill import history
from drkit.drill.scenario import schema
from drkit.state import write_durably

MINE = "title: Mine\nprobes: [{kind: http}]\nfaults: [{fault: reset, on: {node: worker}}]\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no state of this machine."""
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def _shown(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["drill", "list", *words])
    assert done.exit_code == status, done.output
    return done.output if status else done.stdout


def _listed(*words: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(_shown("--json", *words))["scenarios"]}


def test_the_shipped_ones_are_listed_without_a_configuration() -> None:
    """Whoever has installed drkit, and nothing else, sees what drills there are."""
    found = _listed()
    shown = found["worker-with-primary-down"]
    assert shown["title"] == "The worker with the PostgreSQL primary loses its power"
    assert Path(shown["file"]).is_file()
    assert {each["last_verdict"] for each in found.values()} == {None}
    assert list(found) == sorted(found)


def test_the_last_verdict_is_shown() -> None:
    """A scenario that was run shows how that ended, and when."""
    run = history.run_name("worker-down", datetime(2026, 11, 22, 2, 45, tzinfo=UTC))
    document = {"outcome": "exceeded", "started": "2026-11-22T02:45:00.000Z", "cluster": "docfast"}
    write_durably(history.directory() / f"{run}.verdict.json", json.dumps(document))
    assert _listed()["worker-down"]["last_verdict"] == "exceeded"
    (line,) = (line for line in _shown().splitlines() if line.startswith("worker-down "))
    assert line.split()[-2:] == ["exceeded", "2026-11-22T02:45:00.000Z"]


def test_own_scenarios_take_the_place_of_shipped_ones(tmp_path: Path) -> None:
    """Those beside drkit.yaml are listed too, even if that is not finished, and what they replace is said."""
    (tmp_path / "site/chaos").mkdir(parents=True)
    config = tmp_path / "site/drkit.yaml"
    config.write_text("cluster: {name: unfinished}\n", encoding="utf-8")
    for name in ("mine", "worker-down"):
        (tmp_path / "site/chaos" / f"{name}.yaml").write_text(MINE, encoding="utf-8")
    found = _listed("--config", str(config))
    assert found["mine"]["file"] == str(tmp_path / "site/chaos/mine.yaml")
    assert [name for name, each in found.items() if each["replaces_shipped"]] == ["worker-down"]
    replaced = f"worker-down is {tmp_path}/site/chaos/worker-down.yaml, in place of the one that ships"
    assert replaced in _shown("--config", str(config)).splitlines()


def test_a_broken_scenario_ends_with_4(tmp_path: Path) -> None:
    """What is wrong in a user's own file is told with its place."""
    (tmp_path / "chaos").mkdir()
    (tmp_path / "chaos/mine.yaml").write_text(MINE + "titel: x\n", encoding="utf-8")
    (tmp_path / "drkit.yaml").write_text("{}\n", encoding="utf-8")
    assert "chaos/mine.yaml:4:1: titel: unknown key" in _shown(status=4)
    assert json.loads(CliRunner().invoke(app, ["drill", "list", "--json"]).stdout)["error"]["code"] == 4


def test_a_configuration_that_was_named_has_to_be_there() -> None:
    """A mistyped --config is not passed over."""
    assert "no such file" in _shown("--config", "none.yaml", status=4)


def test_the_schema_is_printed() -> None:
    """Editors can be fed from any installation."""
    assert _shown("--schema") == schema.text()


def test_a_wheel_has_the_scenarios(tmp_path: Path) -> None:
    """Installed from a wheel, drkit finds the same scenarios as in its repository."""
    root = Path(drkit.__file__).parents[1]
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "dist")]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    listing = (
        "from drkit.drill.scenario.listing import listed, loaded, shipped\n"
        "print(shipped(), *(each.name for each, _ in loaded(listed(None))))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", listing],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    directory, *names = done.stdout.split()
    assert directory == str(tmp_path / "site/drkit/chaos")
    assert names == list(_listed())
    assert (tmp_path / "site/drkit/chaos" / schema.FILE_NAME).is_file()
