"""Encryption to recipients of age (age-encryption.org/v1), by pyrage, the binding of rage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyrage

from drkit.errors import ConfigurationError, VerificationFailed, WrongKey
from drkit.masking import register

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----"
END = "-----END AGE ENCRYPTED FILE-----"
_BINARY = b"age-encryption.org/"
_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - how such a key begins
_LARGEST_IDENTITY_BYTES = 64 * 1024
_NO_RECIPIENTS = (
    "drkit.yaml has no escrow.recipients, so nobody could open the bundle",
    'add the public half of a key kept elsewhere, of SSH or age-keygen: escrow: {recipients: ["ssh-ed25519 AAAA…"]}',
)


def encrypt(plain: bytes, recipients: Sequence[str]) -> str:
    """``plain`` for all of these recipients, as text (age's armor).

    Raises:
        ConfigurationError: there is no recipient, or one is none.
    """
    if not recipients:
        raise ConfigurationError(*_NO_RECIPIENTS)
    known = [_recipient(number, text) for number, text in enumerate(recipients)]
    return pyrage.encrypt(plain, known, armored=True).decode()


def _recipient(number: int, text: str) -> pyrage.x25519.Recipient | pyrage.ssh.Recipient:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise ConfigurationError(
            f"escrow.recipients[{number}]: {text:.40} is no recipient: {error}",
            "expected age1…, or a line of SSH's: ssh-ed25519 AAAA…",
        ) from None


def is_encrypted(text: bytes) -> bool:
    """Whether it begins as age's files do."""
    return text.lstrip().startswith((_BINARY, BEGIN.encode()))


def decrypt(encrypted: bytes, identity: Path) -> bytes:
    """What was encrypted, by the key in a file: of ``age-keygen``, or a private key of SSH.

    Raises:
        ConfigurationError: the file holds no such key.
        WrongKey: the key is of no recipient.
        VerificationFailed: what was encrypted is damaged.
    """
    try:
        return pyrage.decrypt(encrypted, _identities(identity))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise WrongKey(
                f"{identity} does not open the bundle: it is none of its recipients'",
                "use the key whose public half stands in escrow.recipients",
            ) from None
        raise VerificationFailed(
            f"the bundle is damaged, or not the whole of it: {error}", "take another copy of it"
        ) from None


def _identities(file: Path) -> list[pyrage.x25519.Identity | pyrage.ssh.Identity]:
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_IDENTITY_BYTES)
    except OSError as error:
        raise ConfigurationError(f"--identity {file}: cannot be read: {error.strerror}") from None
    if is_encrypted(text):
        raise ConfigurationError(
            f"--identity {file} is encrypted itself", f"age -d {file} | drkit keys … --identity /dev/stdin"
        )
    try:
        if b"PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text)]
        lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
        found = [pyrage.x25519.Identity.from_str(register(line)) for line in lines if line.startswith(_SECRET)]
    except pyrage.IdentityError as error:
        hint = "a key with a passphrase: make a copy without, in memory: ssh-keygen -p -f /dev/shm/COPY"
        raise ConfigurationError(f"--identity {file}: {error}", hint if b"PRIVATE KEY-----" in text else "") from None
    if not found:
        raise ConfigurationError(
            f"--identity {file}: no key in it", "expected a line AGE-SECRET-KEY-1…, or a private key of SSH"
        )
    return [*found]
