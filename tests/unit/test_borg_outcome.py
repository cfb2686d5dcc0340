"""What Borg's endings mean."""

from __future__ import annotations

import json

import pytest

from drkit import errors
from drkit.masking import register
from drkit.vault.borg_outcome import interpret, read_log, succeeded


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (12, errors.VerificationFailed),
        (13, errors.NoRepository),
        (14, errors.VaultFull),
        (15, errors.NoRepository),
        (17, errors.VerificationFailed),
        (18, errors.NoRepository),
        (20, errors.VaultFull),
        (31, errors.NoSuchPoint),
        (40, errors.WrongKey),
        (52, errors.WrongKey),
        (70, errors.VaultLocked),
        (73, errors.VaultLocked),
        (80, errors.ConnectionCut),
        (81, errors.ConnectionCut),
        (90, errors.VerificationFailed),
        (99, errors.VerificationFailed),
        (2, errors.DrkitError),
        (-9, errors.DrkitError),
    ],
)
def test_each_status_has_its_error(status: int, error: type[errors.DrkitError]) -> None:
    """A status of Borg's becomes the error whose exit code scripts rely on, with vault and address in the message."""
    found = interpret("databases", "ssh://box/./db", status, "last words")
    assert type(found) is error
    assert "vault databases (ssh://box/./db)" in found.message
    assert "last words" in found.message


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("Remote: Host key verification failed.", errors.HostKeyError),
        ("Remote: @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", errors.HostKeyError),
        ("Remote: u1@box: Permission denied (publickey).", errors.VaultUnreachable),
        ("Remote: ssh: connect to host box port 23: Connection refused", errors.VaultUnreachable),
        ("Remote: ssh: Could not resolve hostname box", errors.VaultUnreachable),
        ("Remote: kex_exchange_identification: read: reset", errors.VaultUnreachable),
        ("Connection closed by remote host", errors.ConnectionCut),
        ("OSError: [Errno 28] No space left on device", errors.VaultFull),
        ("Remote: OSError: [Errno 122] Disk quota exceeded", errors.VaultFull),
    ],
)
def test_the_words_of_ssh_count(words: str, error: type[errors.DrkitError]) -> None:
    """Where Borg's status only says that the connection closed, what ssh said decides."""
    record = json.dumps({"type": "log_message", "message": words, "name": "borg.logger"})
    assert type(interpret("databases", "url", 81, record)) is error
    assert type(interpret("databases", "url", 81, words)) is error


def test_a_full_disk_comes_before_all_else() -> None:
    """A full disk on the far side looks like a damaged vault or a broken call, and is named as what it is."""
    assert type(interpret("databases", "url", 99, "No space left on device")) is errors.VaultFull


def test_success_and_warnings_are_no_failure() -> None:
    """Warnings are for things that happened beside what was asked."""
    assert [status for status in range(-20, 256) if succeeded(status)] == [0, *range(100, 128)]


def test_a_log_is_read_line_by_line() -> None:
    """Messages come out of JSON, other records are dropped, and lines that are not JSON are kept as they are."""
    lines = [
        "usage: borg [-V]",
        json.dumps({"type": "progress_percent", "message": "50 %"}),
        json.dumps({"type": "log_message", "msgid": "LockTimeout", "message": "one\ntwo"}),
        json.dumps({"type": "log_message", "message": "three"}),
        json.dumps(["no record"]),
        "{ broken",
        "",
    ]
    assert read_log("\n".join(lines)).splitlines() == [
        "usage: borg [-V]",
        "LockTimeout",
        "one",
        "two",
        "three",
        "{ broken",
    ]


def test_last_words_hold_no_secret() -> None:
    """A secret in Borg's words does not come into the error."""
    register("correct horse")
    assert "correct horse" not in interpret("databases", "url", 2, "bad: correct horse").message
