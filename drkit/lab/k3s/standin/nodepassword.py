"""A node's password: what tells the node that once had a name from another that took it (docs.k3s.io, architecture)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from . import paths, pki

if TYPE_CHECKING:
    from .kube import Kube

REJECTED = (
    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
    "node-passwd entry, try enabling a unique node name with the --with-node-id flag"
)

_COST = 15
_BLOCK = 8
_PARALLEL = 1
_BYTES = 64
_MEMORY = 64 * 1024 * 1024
_FIELDS = 6


def own() -> str:
    """This node's password, made the first time."""
    if not paths.NODE_PASSWORD.exists():
        pki.write_private(paths.NODE_PASSWORD, f"{secrets.token_hex(16)}\n".encode())
    return paths.NODE_PASSWORD.read_text().strip()


def secret_name(node: str) -> str:
    """The secret in ``kube-system`` that remembers a node's password."""
    return f"{node.lower()}.node-password.k3s"


def make_hash(password: str) -> str:
    """What the secret holds: scrypt, with its parameters, in k3s's form."""
    salt = secrets.token_bytes(8)
    return f"$1:{salt.hex()}:{_COST}:{_BLOCK}:{_PARALLEL}:{_derive(password, salt)}"


def matches(password: str, kept: str) -> bool:
    """Whether ``password`` is the one that ``kept`` was made of."""
    parts = kept.split(":")
    if len(parts) != _FIELDS or parts[0] != "$1":
        return False
    return hmac.compare_digest(_derive(password, bytes.fromhex(parts[1])), parts[5])


def _derive(password: str, salt: bytes) -> str:
    key = hashlib.scrypt(password.encode(), salt=salt, n=2**_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=_BYTES)
    return base64.b64encode(key).decode().rstrip("=")


def ensure(kube: Kube, node: str, password: str) -> bool:
    """Remember the node's password the first time, and compare it ever after.

    Raises:
        ApiError: the API server does not answer.
    """
    collection = "/api/v1/namespaces/kube-system/secrets"
    path = f"{collection}/{secret_name(node)}"
    found = kube.get(path)
    if found is None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(node), "namespace": "kube-system"},
            "immutable": True,
            "data": {"hash": base64.b64encode(make_hash(password).encode()).decode()},
        }
        if kube.create(collection, body):
            return True
        found = kube.get(path) or {}
    return matches(password, base64.b64decode(found.get("data", {}).get("hash", "")).decode())
