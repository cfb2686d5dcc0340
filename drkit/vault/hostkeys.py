"""Host keys of the vault: what the far side offers, what is pinned, and accepting exactly one that was compared."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit import process
from drkit.errors import ConfigurationError, HostKeyError, VaultUnreachable

if TYPE_CHECKING:
    from drkit.config.model import VaultSsh

_SCAN_SECONDS = 15
_KEY_LINE_FIELDS = 3


@dataclass(frozen=True)
class HostKey:
    """One line of known_hosts: the host's name there, the key's type and the key (base64)."""

    host: str
    kind: str
    key: str

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it: ``SHA256:…``."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def line(self) -> str:
        """The line for known_hosts."""
        return f"{self.host} {self.kind} {self.key}"


def parse(text: str) -> tuple[HostKey, ...]:
    """The keys in ``ssh-keyscan`` or ``ssh-keygen -F`` output; comments and what is malformed are passed over."""
    keys = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= _KEY_LINE_FIELDS and not line.startswith(("#", "@")):
            try:
                base64.b64decode(fields[2], validate=True)
            except ValueError:
                continue
            keys.append(HostKey(*fields[:3]))
    return tuple(keys)


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 22


def offered(url: str) -> tuple[HostKey, ...]:
    """The keys that the far side offers now; none where it cannot be asked."""
    host, port = _host_and_port(url)
    try:
        done = process.run(["ssh-keyscan", "-T", "10", "-p", str(port), host], deadline=_SCAN_SECONDS)
    except (OSError, process.DeadlineExceeded):
        return ()
    return parse(done.stdout.decode(errors="replace"))


def pinned(url: str, ssh: VaultSsh) -> tuple[HostKey, ...]:
    """The keys that known_hosts has for the host."""
    host, port = _host_and_port(url)
    name = host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004 - SSH's own port, which known_hosts leaves out
    file = _known_hosts(ssh)
    if not file.exists():
        return ()
    done = process.run(["ssh-keygen", "-F", name, "-f", str(file)], deadline=_SCAN_SECONDS)
    return parse(done.stdout.decode(errors="replace"))


def _known_hosts(ssh: VaultSsh) -> Path:
    return ssh.known_hosts or Path.home() / ".ssh/known_hosts"


def explain(vault: str, url: str, ssh: VaultSsh) -> HostKeyError:
    """The error for a key that is unknown or changed: both fingerprints, and the command that accepts the new one."""
    now, before = offered(url), pinned(url, ssh)
    known = {key.kind: key for key in before}
    shown = [f"  offered now: {key.fingerprint} ({key.kind})" for key in now]
    shown += [f"  known_hosts: {key.fingerprint} ({key.kind})" for key in before]
    what = "has changed" if known else "is unknown"
    new = next((key for key in now if key.kind == "ssh-ed25519"), now[0] if now else None)
    hint = "compare the fingerprint with the one that the provider shows"
    if known:
        hint += "; a changed key can be an attack"
    if new is not None:
        hint += f"; if it is right: drkit check --accept-host-key {new.fingerprint}"
    return HostKeyError("\n".join([f"vault {vault} ({url}): the host key {what} ({_known_hosts(ssh)})", *shown]), hint)


def accept(url: str, ssh: VaultSsh, fingerprint: str) -> HostKey:
    """Pin the offered key that has this fingerprint, in place of those that known_hosts has for the host.

    Raises:
        VaultUnreachable: the host offers no key now.
        HostKeyError: it offers others; nothing is changed.
        ConfigurationError: known_hosts cannot be written.
    """
    now = offered(url)
    if not now:
        raise VaultUnreachable(f"{url}: the host offers no key", "check address, port and network")
    key = next((key for key in now if key.fingerprint == fingerprint), None)
    if key is None:
        listed = ", ".join(f"{key.fingerprint} ({key.kind})" for key in now)
        raise HostKeyError(f"{url} does not offer {fingerprint} but {listed}", "nothing was changed")
    file = _known_hosts(ssh)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if file.exists():
            process.run(["ssh-keygen", "-R", key.host, "-f", str(file)], deadline=_SCAN_SECONDS)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(key.line + "\n")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from None
    return key
