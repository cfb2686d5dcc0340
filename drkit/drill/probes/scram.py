"""SCRAM-SHA-256, the client's side (RFC 5802, RFC 7677), as PostgreSQL asks for it. Pure.

Deriving the keys from a password is made to be slow: 1.5 ms of a core. RFC 5802 lets a client keep them for as long as
salt and count are the same (section 3), which libpq does not: it takes 5 ms for each new connection.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass, field

MECHANISM = "SCRAM-SHA-256"
MOST_ROUNDS = 1_000_000
"""PostgreSQL's default is 4096; a server could ask for any number."""
_NO_BINDING = "n,,"


@dataclass(frozen=True)
class Challenge:
    """What the server said first."""

    text: str
    nonce: str
    salt: bytes
    rounds: int


@dataclass(frozen=True)
class Keys:
    """What a password, a salt and a number of rounds come to."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


def keys(password: str, salt: bytes, rounds: int) -> Keys:
    """Slow on purpose."""
    # PostgreSQL, too, takes a password as it is where it cannot be prepared (RFC 4013).
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, rounds)
    return Keys(_hmac(salted, b"Client Key"), _hmac(salted, b"Server Key"))


class Exchange:
    """One authentication; PostgreSQL takes the user's name from elsewhere.

    Every method raises ``ValueError`` where what the server said is not of the protocol, or shows that it does not
    know the password either.
    """

    def __init__(self, nonce: str = "") -> None:
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._bare = f"n=,r={self._nonce}"
        self._expected = b""
        self._open = False

    def first(self) -> bytes:
        """What the client says first."""
        self._open = True
        return (_NO_BINDING + self._bare).encode()

    def challenge(self, said: bytes) -> Challenge:
        """What the server answered to that."""
        text = said.decode("ascii")
        found = _fields(text)
        try:
            made = Challenge(text, found["r"], base64.b64decode(found["s"], validate=True), int(found["i"]))
        except (KeyError, binascii.Error) as error:
            raise ValueError(f"no SCRAM: {error}") from None
        if not made.nonce.startswith(self._nonce) or not 0 < made.rounds <= MOST_ROUNDS:
            raise ValueError("no SCRAM that is safe")
        return made

    def final(self, challenge: Challenge, known: Keys) -> bytes:
        """What the client says then: a proof that it knows the password."""
        bare = f"c={base64.b64encode(_NO_BINDING.encode()).decode()},r={challenge.nonce}"
        message = f"{self._bare},{challenge.text},{bare}".encode()
        self._expected = _hmac(known.server, message)
        signature = _hmac(hashlib.sha256(known.client).digest(), message)
        proof = bytes(mine ^ theirs for mine, theirs in zip(known.client, signature, strict=True))
        return f"{bare},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, said: bytes) -> None:
        """See that the server knows the password as well."""
        given = base64.b64decode(_fields(said.decode("ascii")).get("v", ""), validate=True)
        if not self._expected or not hmac.compare_digest(given, self._expected):
            raise ValueError("the server does not know the password")
        self._open = False

    def end(self) -> None:
        """See that a server that is content has shown that it knows the password, where it was asked to."""
        if self._open:
            raise ValueError("the server does not show that it knows the password")


def _fields(text: str) -> dict[str, str]:
    return {part[:1]: part[2:] for part in text.split(",") if part[1:2] == "="}


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
