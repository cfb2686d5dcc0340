"""The cluster's identity in its datastore: CAs and keys, encrypted with the token.

The form is k3s's: a salt, then AES-GCM under a key that PBKDF2 makes of the token's password. Whoever has the datastore
and not the token cannot restore the cluster, which is what makes lost tokens fatal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .problem import Fatal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PREFIX = "/bootstrap/"
DIFFERENT_TOKEN = "bootstrap data already found and encrypted with different token"  # noqa: S105 - a message
CLOCK_SKEW = 3
"""Seconds by which a file may be younger than the datastore's copy, as k3s allows."""

_ITERATIONS = 4096
_KEY_BYTES = 32
_NONCE_BYTES = 12
_HASH_DIGITS = 12

FILES = {
    "ServerCA": "tls/server-ca.crt",
    "ServerCAKey": "tls/server-ca.key",
    "ClientCA": "tls/client-ca.crt",
    "ClientCAKey": "tls/client-ca.key",
    "RequestHeaderCA": "tls/request-header-ca.crt",
    "RequestHeaderCAKey": "tls/request-header-ca.key",
    "ServiceKey": "tls/service.key",
    "ServiceCurrentKey": "tls/service.current.key",
    "ETCDServerCA": "tls/etcd/server-ca.crt",
    "ETCDServerCAKey": "tls/etcd/server-ca.key",
    "ETCDPeerCA": "tls/etcd/peer-ca.crt",
    "ETCDPeerCAKey": "tls/etcd/peer-ca.key",
    "IPSECKey": "cred/ipsec.psk",
    "PasswdFile": "cred/passwd",
}
"""What the datastore keeps, by the names k3s gives it, and where it is below ``server/``."""


@dataclass(frozen=True)
class Kept:
    """One file of the bundle: its content, and when it was written in whole seconds since 1970."""

    content: bytes
    written: int


Bundle = dict[str, Kept]


def storage_key(password: str) -> str:
    """Where the bundle of the cluster with this token lies."""
    return PREFIX + hashlib.sha256(password.encode()).hexdigest()[:_HASH_DIGITS]


def encrypt(password: str, plain: bytes) -> str:
    """Seal ``plain`` with the token's password."""
    salt = secrets.token_hex(8)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(password, salt)).encrypt(nonce, plain, None)
    return f"{salt}:{base64.b64encode(nonce + sealed).decode()}"


def decrypt(password: str, sealed: str) -> bytes:
    """Open what ``encrypt`` made.

    Raises:
        Fatal: the password is another one, or the data is damaged.
    """
    salt, _, body = sealed.partition(":")
    try:
        raw = base64.b64decode(body, validate=True)
        return AESGCM(_key(password, salt)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
    except (InvalidTag, binascii.Error, ValueError):
        raise Fatal("failed to decrypt bootstrap data: cipher: message authentication failed") from None


def _key(password: str, salt: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), _ITERATIONS, _KEY_BYTES)


def choose(found: Sequence[str], password: str) -> str | None:
    """Of the bootstrap keys in a datastore, the one of this token; None where the datastore is new.

    Raises:
        Fatal: there are only ones of other tokens.
    """
    if not found:
        return None
    wanted = storage_key(password)
    if wanted not in found:
        raise Fatal(DIFFERENT_TOKEN)
    return wanted


def dump(bundle: Bundle) -> bytes:
    """The bundle as the JSON text that is encrypted."""
    return json.dumps(
        {
            name: {
                "Timestamp": datetime.fromtimestamp(kept.written, UTC).isoformat(),
                "Content": base64.b64encode(kept.content).decode(),
            }
            for name, kept in bundle.items()
        }
    ).encode()


def load(text: bytes) -> Bundle:
    """The bundle of a JSON text that ``dump`` made."""
    return {
        name: Kept(
            base64.b64decode(entry["Content"]),
            int(datetime.fromisoformat(entry["Timestamp"]).timestamp()),
        )
        for name, entry in json.loads(text).items()
        if name in FILES
    }


def read_from_disk(server: Path) -> Bundle:
    """The bundle's files below ``server``, those that are there."""
    paths = {name: server / relative for name, relative in FILES.items()}
    return {name: Kept(path.read_bytes(), int(path.stat().st_mtime)) for name, path in paths.items() if path.is_file()}


def write_to_disk(bundle: Bundle, server: Path) -> None:
    """Put the bundle's files below ``server``, dated as in the datastore, readable by root alone."""
    for name, kept in bundle.items():
        path = server / FILES[name]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(kept.content)
        path.chmod(0o600)
        os.utime(path, (kept.written, kept.written))


def newer_on_disk(disk: Mapping[str, Kept], stored: Mapping[str, Kept]) -> list[str]:
    """The files that differ from the datastore's copy and were written after it: k3s refuses to choose between them."""
    return [
        name
        for name, kept in stored.items()
        if name in disk and disk[name].content != kept.content and disk[name].written - kept.written >= CLOCK_SKEW
    ]


def differs(disk: Mapping[str, Kept], stored: Mapping[str, Kept]) -> bool:
    """Whether any stored file is missing on disk or differs there."""
    return any(name not in disk or disk[name].content != kept.content for name, kept in stored.items())
