"""k3s's tokens: ``K10<SHA-256 of the CA>::<user>:<password>``, or the password alone (docs.k3s.io/cli/token)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .problem import Fatal

_PREFIX = "K10"
_HASH_DIGITS = 64


@dataclass(frozen=True)
class Token:
    """A token taken apart; ``ca_hash`` and ``user`` are empty where it was a password alone."""

    password: str
    user: str = ""
    ca_hash: str = ""


def ca_hash(certificate: bytes) -> str:
    """The hash that pins a cluster's CA certificate, given as PEM."""
    return hashlib.sha256(certificate).hexdigest()


def full(password: str, user: str, certificate: bytes) -> str:
    """The token in its full form, which pins the CA ``certificate`` (PEM)."""
    return f"{_PREFIX}{ca_hash(certificate)}::{user}:{password}"


def parse(text: str) -> Token:
    """Take ``text`` apart.

    Raises:
        Fatal: it is neither of the two forms.
    """
    text = text.strip()
    if text.startswith(_PREFIX) and "::" in text:
        digest, _, rest = text[len(_PREFIX) :].partition("::")
        user, separator, password = rest.partition(":")
        if separator and password and len(digest) == _HASH_DIGITS:
            return Token(password, user, digest)
        raise Fatal("failed to normalize token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
    if not text:
        raise Fatal("failed to normalize token; it is empty")
    return Token(text)


def check_pin(token: Token, certificate: bytes) -> None:
    """Refuse a cluster whose CA is not the one that ``token`` pins.

    Raises:
        Fatal: the hashes differ.
    """
    if token.ca_hash and token.ca_hash != ca_hash(certificate):
        raise Fatal(f"token CA hash does not match the Cluster CA certificate hash: {token.ca_hash}")
