"""Secrets: where they come from, and that none gets out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drkit import masking
from drkit.config import secrets
from drkit.config.model import Secret
from drkit.errors import ConfigurationError
from drkit.postgres.connection import libpq_environment, parse
from drkit.process import TAIL_LINES, tail

PASSWORD = "s3cret:with\\odd @characters"


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """The file's content counts without the newline that editors add."""
    (tmp_path / "secret").write_text("pass phrase \r\n")
    assert secrets.fetch(Secret(file=tmp_path / "secret"), "passphrase") == "pass phrase "


def test_a_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable can hold it."""
    monkeypatch.setenv("DRKIT_TEST", "from the environment")
    assert secrets.fetch(Secret(env="DRKIT_TEST"), "passphrase") == "from the environment"


@pytest.mark.parametrize("command", ["printf 'from a command\\n'", ["printf", "from a command"]])
def test_a_secret_comes_from_a_command(command: str | list[str]) -> None:
    """A program can print it, given as one line or as a list."""
    assert secrets.fetch(Secret(command=command), "passphrase") == "from a command"


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (Secret(file=Path("/nonexistent/secret")), "/nonexistent/secret is not there"),
        (Secret(file=Path("/")), "cannot be read"),
        (Secret(file=Path("/dev/null")), "is empty"),
        (Secret(env="DRKIT_NOT_SET"), "DRKIT_NOT_SET is not set"),
        (Secret(command="true"), "is empty"),
        (Secret(command="false"), "exited with 1"),
        (Secret(command="no-such-program-here"), "no-such-program-here"),
        (Secret(command=""), "the command is empty"),
    ],
)
def test_a_secret_that_is_not_there_is_named(secret: Secret, says: str) -> None:
    """Which secret is missing, and where it was looked for, is in the message."""
    with pytest.raises(ConfigurationError) as missing:
        secrets.fetch(secret, "vaults.databases.passphrase")
    assert missing.value.message.startswith("vaults.databases.passphrase: ")
    assert says in missing.value.message


def test_a_fetched_secret_is_masked_from_then_on(tmp_path: Path) -> None:
    """Nobody has to remember to mask what was fetched."""
    (tmp_path / "secret").write_text("correct horse\n")
    secrets.fetch(Secret(file=tmp_path / "secret"), "passphrase")
    assert masking.mask("borg said: 'correct horse'?") == "borg said: '***'?"


def test_the_longest_secret_is_masked_first() -> None:
    """A secret that contains another one leaves no rest of itself."""
    masking.register("horse")
    masking.register("correct horse battery")
    assert masking.mask("correct horse battery, horse") == "***, ***"


def test_short_values_do_not_blank_out_words() -> None:
    """A password of three letters would make every message unreadable."""
    masking.register("abc")
    masking.register("")
    assert masking.mask("abc") == "abc"


@given(st.lists(st.text("abc", min_size=4, max_size=8), max_size=5), st.text("abcx ", max_size=60))
def test_no_secret_is_left_in_masked_text(registered: list[str], text: str) -> None:
    """Whatever is registered, none of it is in what comes out."""
    masking._secrets.clear()
    for secret in registered:
        masking.register(secret)
    masked = masking.mask(text)
    assert not any(secret in masked for secret in registered)
    assert registered or masked == text


def test_last_words_are_the_last_lines_without_secrets() -> None:
    """An error shows the end of what a program said, no empty lines, no secret."""
    masking.register("correct horse")
    words = "\n\n".join([*(f"line {number}" for number in range(50)), "pass correct horse"])
    assert tail(words).splitlines() == [*(f"line {number}" for number in range(51 - TAIL_LINES, 50)), "pass ***"]
    assert tail("") == ""


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://owner:s3cret%3Awith%5Codd%20%40characters@db:6432/billing",
        "postgres://owner:s3cret%3Awith%5Codd%20%40characters@db:6432/billing",
        "host=db port=6432 user=owner dbname=billing password='s3cret:with\\\\odd @characters'",
    ],
)
def test_connection_strings_are_taken_apart(text: str) -> None:
    """Addresses and keywords mean the same, and the password is kept apart and masked."""
    dsn = parse(text, "dsn")
    assert dsn.parameters == {"host": "db", "port": "6432", "user": "owner", "dbname": "billing"}
    assert dsn.password == PASSWORD
    assert dsn.database == "billing"
    assert masking.mask(PASSWORD) == "***"
    for shown in (repr(dsn), str(dsn), dsn.shown, repr(dsn.with_database("other"))):
        assert PASSWORD not in shown
    assert dsn.shown == "owner@db:6432/billing"
    assert dsn.with_database("other").database == "other"


@pytest.mark.parametrize("text", ["postgresql://u:geheim@[::1/d", "password=geheim nonsense", "password='geheim"])
def test_a_bad_connection_string_is_not_repeated(text: str) -> None:
    """The error names the key and holds nothing of the string, password included."""
    with pytest.raises(ConfigurationError) as refused:
        parse(text, "databases.billing.dsn")
    assert refused.value.message.startswith("databases.billing.dsn: ")
    assert "geheim" not in refused.value.message + refused.value.hint
    assert refused.value.__suppress_context__


def test_the_password_is_in_a_file_that_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs read the password from a private file in memory; it is gone afterwards."""
    monkeypatch.setenv("PGPASSWORD", "from outside")
    escaped = PASSWORD.replace("\\", "\\\\")
    dsn = parse(f"host=db port=5 user=u dbname=d password='{escaped}'", "dsn")
    with libpq_environment(dsn) as (
        environment,
        (descriptor,),
    ):
        file = Path(environment["PGPASSFILE"])
        assert file == Path(f"/proc/self/fd/{descriptor}")
        for _ in range(2):
            assert file.read_text() == "*:*:*:*:s3cret\\:with\\\\odd @characters\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not any(PASSWORD in value for value in environment.values())
        assert "PGPASSWORD" not in environment
        assert {"PGHOST": "db", "PGPORT": "5", "PGUSER": "u", "PGDATABASE": "d"}.items() <= environment.items()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_without_a_password_there_is_no_file() -> None:
    """A local socket needs none."""
    with libpq_environment(parse("host=/run/postgresql dbname=d", "dsn")) as (environment, descriptors):
        assert "PGPASSFILE" not in environment
        assert descriptors == ()
