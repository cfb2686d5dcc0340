"""What every call of OpenSSH has in common: which host keys are believed, and which key is offered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from drkit.config.model import Ssh, VaultSsh


def trust(ssh: Ssh | VaultSsh) -> list[str]:
    """The options of ``ssh_config`` that pin the host keys and the identity where they are configured."""
    options = []
    if ssh.known_hosts is not None:
        options += [f"UserKnownHostsFile={_literal(ssh.known_hosts)}", "GlobalKnownHostsFile=none"]
    if ssh.key is not None:
        options += ["IdentitiesOnly=yes", f"IdentityFile={_literal(ssh.key)}"]
    return options


def _literal(path: Path) -> str:
    """A path as a value of ``ssh_config``, where ``%`` begins a token, and quotes keep spaces."""
    escaped = str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
