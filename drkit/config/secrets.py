"""Fetches secrets from where the configuration says they are, and registers them to be masked."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import ConfigurationError
from drkit.masking import register

if TYPE_CHECKING:
    from drkit.config.model import Secret

_COMMAND_DEADLINE = 60.0


def fetch(secret: Secret, what: str) -> str:
    """The value of ``secret``, without trailing newlines.

    Args:
        secret: where it is.
        what: its name in messages, such as ``vaults.databases.passphrase``.

    Raises:
        ConfigurationError: it is not there, or empty.
    """
    if secret.file is not None:
        value: str | None = _from_file(secret, what)
        place = str(secret.file)
    elif secret.env is not None:
        value, place = os.environ.get(secret.env), f"the environment variable {secret.env}"
    else:
        value, place = _from_command(secret, what), "the command"
    if value is None:
        raise ConfigurationError(f"{what}: {place} is not set", f"set it: export {secret.env}=…")
    value = value.rstrip("\r\n")
    if not value:
        raise ConfigurationError(f"{what}: {place} is empty; expected a secret")
    return register(value)


def _from_file(secret: Secret, what: str) -> str:
    assert secret.file is not None  # noqa: S101 - the caller's case distinction, for the type checker
    try:
        return secret.file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{what}: {secret.file} is not there", "write the secret into that file, mode 0600"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{what}: {secret.file} cannot be read: {error}") from None


def _from_command(secret: Secret, what: str) -> str:
    command = secret.command
    try:
        argv = shlex.split(command) if isinstance(command, str) else list(command or ())
    except ValueError as error:
        raise ConfigurationError(f"{what}: the command cannot be split into words: {error}") from None
    if not argv:
        raise ConfigurationError(f"{what}: the command is empty")
    try:
        done = process.run(argv, deadline=_COMMAND_DEADLINE)
    except (OSError, process.DeadlineExceeded) as error:
        raise ConfigurationError(f"{what}: the command {argv[0]} failed: {error}") from None
    if done.status != 0:
        raise ConfigurationError(
            f"{what}: the command {argv[0]} exited with {done.status}: {process.tail(done.stderr)}"
        )
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what}: the command {argv[0]} printed something that is not UTF-8") from None
