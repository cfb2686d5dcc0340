"""How Borg is called."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit.config.model import VaultSsh
from drkit.vault import borg_command as command
from drkit.vault import hostkeys
from drkit.vault.borg import narrowest_glob

REPOSITORY = command.Repository("ssh://u1@box:23/./db", VaultSsh(), "borg-1.4", "zstd,1", 60)
NAME = "docfast.20260301T120000Z-abc123.point"


def test_a_call_names_what_it_is_about() -> None:
    """Every call speaks JSON, waits for a lock as long as configured, and starts the far side's program."""
    for argv in (
        command.create_repository(REPOSITORY),
        command.list_archives(REPOSITORY),
        command.list_comments(REPOSITORY, "*"),
        command.extract(REPOSITORY, NAME),
        command.delete(REPOSITORY, [NAME]),
        command.compact(REPOSITORY),
        command.check(REPOSITORY),
        command.create_archive(REPOSITORY, NAME, file_name="f", comment="", command=["true"]),
    ):
        assert {"--log-json", "--lock-wait", "60", "--remote-path", "borg-1.4"} <= set(argv)
        assert any(word.startswith(REPOSITORY.url) for word in argv)


def test_braces_reach_borg_doubled() -> None:
    """Borg expands ``{now}`` in names and comments; what is stored must be what was asked for."""
    argv = command.create_archive(REPOSITORY, "a{now}", file_name="f", comment="{hostname} {{x}}", command=["true"])
    assert argv[argv.index("--comment") + 1] == "{{hostname}} {{{{x}}}}"
    assert f"{REPOSITORY.url}::a{{{{now}}}}" in argv
    assert command.delete(REPOSITORY, ["{a}", "{b}"])[-2:] == [f"{REPOSITORY.url}::{{{{a}}}}", "{{b}}"]


@given(st.text())
def test_escaping_is_undone_by_formatting(text: str) -> None:
    """What was escaped is itself again once Borg has expanded it."""
    assert command.escape(text).format() == text


def test_the_command_stands_behind_a_double_dash() -> None:
    """No word of the command that Borg runs is taken for an option of Borg's."""
    argv = command.create_archive(REPOSITORY, NAME, file_name="f", comment="", command=["run", "--delete"])
    assert argv[-3:] == ["--", "run", "--delete"]


def test_a_first_name_with_a_dash_is_no_option() -> None:
    """An archive's name stands behind the repository's address."""
    assert command.extract(REPOSITORY, "-x")[-1] == f"{REPOSITORY.url}::-x"


def test_the_passphrase_is_named_by_its_descriptor_alone(tmp_path: Path) -> None:
    """Borg's environment holds no secret, and the answers to its questions are fixed."""
    environment = command.environment({"PATH": "/bin"}, command.remote_shell(REPOSITORY.ssh), tmp_path, 7)
    assert environment["BORG_PASSPHRASE_FD"] == "7"
    assert "BORG_PASSPHRASE" not in environment
    assert environment["BORG_EXIT_CODES"] == "modern"
    assert environment["BORG_BASE_DIR"] == str(tmp_path)
    assert environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] == "no"


def _as_ssh_reads_it(ssh: VaultSsh) -> dict[str, str]:
    """OpenSSH's own reading of the command line."""
    argv = [*shlex.split(command.remote_shell(ssh)), "-F", "none", "-G", "box"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=dict(os.environ))
    lines = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
    return {key: value for key, value in lines if value}


@pytest.mark.parametrize("name", ["plain", "with space", "with 'single' quotes", "$HOME", "a;b", "Größe"])
def test_paths_reach_ssh_whole(tmp_path: Path, name: str) -> None:
    """A key or a known_hosts file may be called anything that a shell would trip over."""
    file = tmp_path / name
    file.touch()
    read = _as_ssh_reads_it(VaultSsh(key=file, known_hosts=file))
    assert read["identityfile"] == str(file)
    assert read["userknownhostsfile"] == str(file)


def test_ssh_asks_nothing_and_trusts_what_is_pinned_alone() -> None:
    """No prompt can hang a backup, and no key is accepted that was not compared."""
    read = _as_ssh_reads_it(VaultSsh(known_hosts=Path("/hosts")))
    assert read["batchmode"] == "yes"
    assert read["stricthostkeychecking"] in {"true", "yes"}
    assert read["updatehostkeys"] in {"false", "no"}
    assert read["globalknownhostsfile"] == "none"
    assert int(read["connecttimeout"]) > 0
    assert int(read["serveraliveinterval"]) > 0


_NAMES = st.text("abc.-_0123456789", min_size=1, max_size=12)


@given(st.sets(_NAMES, min_size=1, max_size=8))
def test_the_pattern_matches_every_name(names: set[str]) -> None:
    """No comment is missed because the pattern for a listing was too narrow."""
    prefix, star, suffix = narrowest_glob(names).partition("*")
    for name in names:
        if star:
            assert name.startswith(prefix)
            assert name.endswith(suffix)
            assert len(name) >= len(prefix) + len(suffix)
        else:
            assert name == prefix


def test_the_pattern_leaves_the_rest_out() -> None:
    """Listing the descriptors does not open the dumps."""
    assert narrowest_glob({"c.1.point", "c.2.point"}) == "c.*.point"


def test_fingerprints_are_those_of_openssh(tmp_path: Path) -> None:
    """What drkit shows is what ``ssh-keygen -l`` and the provider's page show."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True).stdout
    kind, text = (tmp_path / "key.pub").read_text().split()[:2]
    (parsed,) = hostkeys.parse(f"# box:23 SSH-2.0\n[box]:23 {kind} {text}\n")
    assert parsed.fingerprint == shown.split()[1]
    assert parsed.line == f"[box]:23 {kind} {text}"


def test_what_is_no_key_is_passed_over() -> None:
    """Comments, markers, half lines and broken keys are not taken for keys."""
    text = "\n# box ssh-ed25519 AAAA\n@revoked box ssh-ed25519 AAAA\nbox ssh-ed25519\nbox ssh-ed25519 A*A\n"
    assert hostkeys.parse(text) == ()
