"""The host key of a server that is being made: known before the server is, so that its first answer can be believed.

The only way into a new server that nobody else can write to is the provider's API: what is in ``user_data`` is what the
server starts with. So a key is made in memory, its private half goes into ``user_data`` and nowhere else (never to this
machine's disk), and its public half into a label of the server, in the same call: wherever drkit is killed, either
there is no server, or there is one with the key to believe it by.

``user_data`` can be read later by whatever runs on the server, pods included, from the metadata service
(http://169.254.169.254/hetzner/v1/userdata), and there is no call that changes it. A private key that stood there is
therefore good for the first contact alone: ``settle`` then has the server make one of its own, which never leaves it,
and ``Provider.pin`` keeps that one's public half.

Source for the form: cloud-init, module ``ssh`` (``ssh_keys``: given keys are put in place, and no others made;
``ssh_deletekeys``; https://docs.cloud-init.io/en/latest/reference/modules.html#ssh).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from drkit.errors import ProviderFailed
from drkit.masking import register
from drkit.process import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drkit.cluster.node import Node
    from drkit.providers.port import Provider, Server

KIND = "ssh-ed25519"
LABEL = "drkit-host-key"
FIRST_LABEL = "drkit-first-key"
"""The key that stood in ``user_data``, until the server's own one is known to be in force."""

_KEY_BYTES = 32
_EDGE = "k"
"""A label's value begins and ends with a letter or digit; base64 need not."""
_LABEL_VALUE = re.compile(rf"{_EDGE}[A-Za-z0-9_-]{{43}}{_EDGE}")
_SECONDS = 60.0

# Which file sshd takes its Ed25519 key from, and the public half of what is in it; "$1" is the first key's.
_FIND = """set -eu
file=$(/usr/sbin/sshd -T | awk '$1 == "hostkey" && $2 ~ /ed25519/ {print $2; exit}')
now=$(ssh-keygen -y -f "$file" | cut -d ' ' -f 1,2)
"""
_MAKE = (
    _FIND
    + """if [ "$now" = "$1" ]; then
    if [ ! -s "$file.next" ]; then
        rm -f "$file.making" "$file.making.pub"
        ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f "$file.making"
        mv "$file.making" "$file.next"
    fi
    now=$(ssh-keygen -y -f "$file.next" | cut -d ' ' -f 1,2)
fi
echo "$now"
"""
)
_SWITCH = (
    _FIND
    + """if [ "$now" = "$1" ]; then
    ssh-keygen -y -f "$file.next" >"$file.pub"
    sync
    mv "$file.next" "$file"
    rm -f "$file.making.pub"
fi
systemctl reload ssh.service || systemctl reload sshd.service
"""
)


@dataclass(frozen=True)
class HostKey:
    """A pair of keys; the private half is in OpenSSH's format, and in no ``repr``."""

    public: str
    private: str = field(repr=False)


def generate() -> HostKey:
    """Make one, in memory. Whatever is printed from now on has its private half masked."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return HostKey(public, register(private))


def user_data(key: HostKey) -> str:
    """What a new server is told: its host key, and that nobody logs in with a password. Nothing else.

    Who may log in comes through the API's ``ssh_keys``: without one Hetzner would send a root password by mail.
    """
    told = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": key.private, "ed25519_public": key.public},
        "ssh_pwauth": False,
    }
    # Each value as JSON, which YAML takes as it is.
    return "#cloud-config\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in told.items())


def to_label(public: str) -> str:
    """A public key as the value of a label, of at most 63 characters: it fits whole.

    Raises:
        ValueError: it is no Ed25519 key.
    """
    kind, _, rest = public.partition(" ")
    blob = base64.b64decode(rest.split()[0], validate=True)
    if kind != KIND or len(blob) != _prefix_length() + _KEY_BYTES:
        raise ValueError(f"{public!r} is no {KIND} key")
    raw = blob[-_KEY_BYTES:]
    return _EDGE + base64.urlsafe_b64encode(raw).decode().rstrip("=") + _EDGE


def from_label(value: str) -> str:
    """The inverse: ``ssh-ed25519 AAAA…``.

    Raises:
        ValueError: it is no such value.
    """
    if not _LABEL_VALUE.fullmatch(value):
        raise ValueError(f"{value!r} is no host key")
    raw = base64.urlsafe_b64decode(value[1:-1] + "=")
    return f"{KIND} {base64.b64encode(_prefix() + raw).decode()}"


def pinned(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The host keys to believe a server by, from its labels; the one that it was handed is the last."""
    found = [labels[name] for name in (LABEL, FIRST_LABEL) if name in labels]
    return tuple(dict.fromkeys(from_label(value) for value in found if _LABEL_VALUE.fullmatch(value)))


def labels(keys: Sequence[str]) -> dict[str, str]:
    """The labels that ``pinned`` reads.

    Args:
        keys: the server's own; and after it the one that it was handed, while that may still be in use.
    """
    return {name: to_label(key) for name, key in zip((LABEL, FIRST_LABEL), keys, strict=False)}


def _prefix() -> bytes:
    """What stands before the key itself (RFC 8709): two strings, each after its length."""
    return len(KIND).to_bytes(4, "big") + KIND.encode() + _KEY_BYTES.to_bytes(4, "big")


def _prefix_length() -> int:
    return len(_prefix())


def settle(provider: Provider, server: Server, node: Node, believe: Callable[[Server], None]) -> Server:
    """Have a new server use a host key of its own in place of the one that it was handed.

    It can be cut off anywhere and called again: at every moment the server's labels have the key that it uses.

    Args:
        provider: it made the server.
        server: as the provider gave it; one that uses its own key already is returned as it is.
        node: the way to it.
        believe: makes the way believe the host keys of a server, by its ``known_hosts``.

    Raises:
        NodeUnreachable: the server does not answer.
        ProviderFailed: it has no OpenSSH that can do that.
    """
    if not server.first_key:
        return server
    first = server.host_keys[-1]
    own = _run(node, _MAKE, first).strip()
    both = provider.pin(server, (own, first))
    believe(both)
    _run(node, _SWITCH, first)
    settled = provider.pin(both, (own,))
    believe(settled)
    return settled


def _run(node: Node, script: str, first: str) -> str:
    done = node.run(["sh", "-c", script, "sh", first], deadline=_SECONDS)
    if done.status != 0:
        raise ProviderFailed(
            f"{node.name}: it could not be given a host key of its own\n{tail(done.stderr)}",
            "its image needs OpenSSH with an Ed25519 host key, as Debian's and Ubuntu's have it",
        )
    return done.stdout.decode(errors="replace")
