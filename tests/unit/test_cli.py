"""The command line's outside: help and usage."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from drkit.cli.main import app

COMMANDS = [
    (),
    ("audit",),
    ("backup",),
    ("check",),
    ("drill",),
    ("drill", "list"),
    ("keys",),
    ("keys", "export"),
    ("keys", "check"),
    ("keys", "open"),
    ("keys", "rotate"),
    ("keys", "rotate", "passphrase"),
    ("keys", "rotate", "signing-key"),
    ("harden",),
    ("init",),
    ("lab",),
    ("lab", "up"),
    ("lab", "status"),
    ("lab", "down"),
    ("metrics",),
    ("notify",),
    ("points",),
    ("points", "list"),
    ("points", "show"),
    ("points", "diff"),
    ("prune",),
    ("restore",),
    ("runbook",),
    ("status",),
    ("verify",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_with_the_exit_codes(command: tuple[str, ...]) -> None:
    """Whoever writes a script finds the exit codes at the end of each command's help."""
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    last = shown.output.rpartition("Exit codes:")[2]
    assert last
    assert re.match(r"\s*0 done · 1 unexpected error · 2 usage", last)
    assert "130 interrupted, undone" in " ".join(last.split())


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("audit", "--fail-on", "nonsense"),
        ("backup", "--nonsense"),
        ("backup", "nonsense"),
        ("points", "show", "a", "b", "c"),
        ("restore",),
        ("restore", "--to", "a", "--into", "b"),
        ("restore", "--to", "a", "--point", "x", "--at", "2026-03-01"),
        ("restore", "--to", "a", "--resume", "--only", "database"),
        ("restore", "--to", "a", "--resume", "--rehearsal", "1h"),
        ("restore", "--to", "a", "--rehearsal", "59s"),
        ("restore", "--to", "a", "--rehearsal", "soon"),
        ("restore", "--into", "a", "--rehearsal", "1h"),
        ("restore", "--reap", "--destroy", "--to", "a"),
        ("restore", "--reap", "--into", "a"),
        ("runbook", "nonsense"),
        ("verify", "a", "b"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2(words: tuple[str, ...]) -> None:
    """What makes no sense is refused as usage, before a configuration is looked for."""
    assert CliRunner().invoke(app, list(words)).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("backup",),
        ("check",),
        ("harden",),
        ("metrics",),
        ("notify",),
        ("points",),
        ("prune",),
        ("status",),
        ("verify",),
    ],
)
def test_a_missing_configuration_ends_with_4(command: tuple[str, ...]) -> None:
    """A configuration that is not there is the same error in every command."""
    assert CliRunner().invoke(app, [*command, "--config", "/nonexistent/drkit.yaml"]).exit_code == 4
