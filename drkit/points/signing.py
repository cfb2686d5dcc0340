"""Ed25519 signatures: made by ``backup`` alone, checked by everything else against pinned public keys."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from drkit import state
from drkit.config import secrets
from drkit.errors import ConfigurationError, VerificationFailed, WrongKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from drkit.config.model import Config

_PREFIX = "ed25519:"


class Signer:
    """A private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = _text(key.public_key())

    def sign(self, message: bytes) -> str:
        """The signature over ``message``, base64 without padding dots or braces."""
        return base64.urlsafe_b64encode(self._key.sign(message)).decode()


@dataclass(frozen=True)
class Verifier:
    """The pinned public keys."""

    keys: frozenset[str]

    def check(self, message: bytes, key: object, signature: object) -> None:
        """See that ``signature`` over ``message`` was made with ``key``, and that the key is pinned.

        Raises:
            WrongKey: the key is not pinned.
            VerificationFailed: the signature does not fit.
        """
        if not isinstance(key, str) or key not in self.keys:
            pinned = ", ".join(sorted(self.keys)) or "none"
            raise WrongKey(
                f"signed with {key!s:.60}, which is not pinned (pinned: {pinned})",
                "put back the signing key or its .pub file, or, if you know this key, add it to trusted_keys",
            )
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix(_PREFIX)))
            public.verify(base64.urlsafe_b64decode(str(signature)), message)
        except (InvalidSignature, ValueError, binascii.Error):
            raise VerificationFailed("a signature does not fit what it stands under") from None


def _text(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _PREFIX + base64.b64encode(raw).decode()


def verifier(config: Config) -> Verifier:
    """The keys that this machine trusts: ``trusted_keys``, and the public half of its own signing key."""
    keys = set(config.trusted_keys)
    pinned = None if config.signing_key.file is None else public_file(config.signing_key.file)
    if pinned is not None and pinned.exists():
        keys |= _read_public(pinned)
    elif config.signing_key.file is None or config.signing_key.file.exists():
        keys.add(_load(config).public)
    return Verifier(frozenset(keys))


def public_file(key: Path) -> Path:
    """Where the public half of a key in a file is pinned."""
    return key.with_name(key.name + ".pub")


def _read_public(file: Path) -> set[str]:
    lines: Iterable[str] = file.read_text(encoding="utf-8").split()
    return {line for line in lines if line.startswith(_PREFIX)}


def signer(config: Config, *, may_create: bool) -> Signer:
    """The signing key; made on first use where the configuration names a file for it.

    Args:
        config: names the place.
        may_create: false where recovery points exist already: a lost key must not be replaced in silence.

    Raises:
        WrongKey: it is not there and must not be made.
        ConfigurationError: it cannot be read.
    """
    file = config.signing_key.file
    if file is None or file.exists():
        return _load(config)
    if not may_create:
        raise WrongKey(
            f"{file} is not there, but the vault holds recovery points that it signed",
            "put the key back; or, to go on with a new one, add the old public key to trusted_keys",
        )
    try:
        state.write_durably(file, generated())
        made = _load(config)
        state.write_durably(public_file(file), f"{made.public}\n")
    except OSError as error:
        raise ConfigurationError(
            f"signing_key: {file} cannot be written: {error.strerror}",
            "name a place that can: signing_key: {file: PATH}",
        ) from None
    return made


def generated() -> str:
    """A new private key, in the form in which it is kept."""
    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def existing_signer(config: Config) -> Signer | None:
    """The signing key, where this machine has it."""
    file = config.signing_key.file
    return None if file is not None and not file.exists() else _load(config)


def _load(config: Config) -> Signer:
    text = secrets.fetch(config.signing_key, "signing_key")
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        raise ConfigurationError("signing_key: not a plain private key; expected Ed25519 in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("signing_key: another kind of key; expected Ed25519 in PEM form")
    return Signer(key)
