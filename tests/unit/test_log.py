"""What programs say: lines of JSON for machines, plain ones for people, secrets in neither."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from drkit.cli.main import app
from drkit.masking import register
from drkit.observe.log import FORMAT, JsonLog, JsonReporter, Level, TextLog, line, make_log, parse
from drkit.observe.progress import PlainReporter, make_reporter
from tests.unit.clocks import SetClock

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 2, 3, 0, 0, 250_000, tzinfo=UTC)


def test_a_line_is_json_with_time_level_and_message() -> None:
    """Fields come as they are, those that are None not at all."""
    stream = io.StringIO()
    JsonLog(stream, SetClock(NOW)).say(Level.WARNING, "late\nby far", job="prune", code=None)
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue()) == {
        "time": "2026-03-02T03:00:00.250Z",
        "level": "warning",
        "message": "late\nby far",
        "job": "prune",
    }


def test_no_form_shows_a_secret() -> None:
    """A passphrase that surfaces in a message or a field is masked, its spelling in JSON as well."""
    secret = register('hush "quiet" \\ übel')
    for log in (JsonLog, TextLog):
        stream = io.StringIO()
        log(stream, SetClock(NOW)).say(Level.ERROR, f"cannot open with {secret}", hint=secret, job=secret)
        assert "quiet" not in stream.getvalue()
        assert "***" in stream.getvalue()


@given(st.sampled_from(Level), st.text(), st.dictionaries(st.text(min_size=1), st.integers() | st.text()))
def test_what_was_said_is_understood(level: Level, message: str, fields: dict[str, int | str]) -> None:
    """A line that one program writes says the same to the one that passes it on."""
    fields = {name: each for name, each in fields.items() if name not in {"time", "level", "message"}}
    assert parse(line(NOW, level, message, fields)) == (level, message, fields)


@pytest.mark.parametrize("text", ["", "plain words", "[1]", "{", '{"a": 1}', "[" * 100_000, "\x00"])
def test_what_is_no_line_of_json_is_a_message(text: str) -> None:
    """Tracebacks and other programs' words are passed on as they are."""
    assert parse(text) == (Level.INFO, text, {})


def test_work_is_told_in_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment asks for it, each piece of work ends with a line that has its seconds and bytes."""
    assert isinstance(make_reporter(), PlainReporter)
    monkeypatch.setenv(FORMAT, "json")
    with make_reporter() as told:
        assert isinstance(told, JsonReporter)
        with told.task("database/a") as task:
            task.update(1000, 2000)
        with pytest.raises(ValueError, match="broken"), told.task("database/b"):
            raise ValueError("broken")
        told.note("a note")
        told.warn("a warning")
    said = [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    assert [(each["level"], each["message"]) for each in said] == [
        ("info", "database/a: done"),
        ("error", "database/b: failed"),
        ("info", "a note"),
        ("warning", "a warning"),
    ]
    assert (said[0]["task"], said[0]["bytes"], said[0]["total_bytes"]) == ("database/a", 1000, 2000)


def test_errors_are_told_in_json(tmp_path: Path) -> None:
    """A command's last word is a line as well, with its exit code and what to do."""
    ended = CliRunner().invoke(app, ["status", "--config", str(tmp_path / "none.yaml")], env={FORMAT: "json"})
    said = json.loads(ended.stderr)
    assert ended.exit_code == said["code"] == 4
    assert (said["level"], said["hint"]) == ("error", "name the file with --config")
    assert "there is no such file" in said["message"]


@pytest.mark.parametrize(("asked", "kind"), [("json", JsonLog), ("text", TextLog), ("", JsonLog)])
def test_a_service_says_json_where_no_person_watches(
    asked: str, kind: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the environment says otherwise."""
    monkeypatch.setenv(FORMAT, asked)
    assert isinstance(make_log(), kind)
