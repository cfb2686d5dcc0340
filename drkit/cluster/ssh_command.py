"""How OpenSSH is called for nodes, and what its complaints mean: pure functions."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from drkit import openssh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drkit.config.model import Ssh

CONNECT_SECONDS = 15
ALIVE_SECONDS = 10
ALIVE_COUNT = 3

UNKNOWN_KEY = "unknown"
CHANGED_KEY = "changed"
REFUSED = "refused"
SILENT = "silent"


def options(ssh: Ssh) -> list[str]:
    """The program and its options: no file of settings, no questions, pinned host keys, an end to every wait."""
    chosen = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        f"ConnectTimeout={CONNECT_SECONDS}",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        f"ServerAliveCountMax={ALIVE_COUNT}",
        "Compression=no",
        "ForwardAgent=no",
        "ForwardX11=no",
        "EscapeChar=none",
        "PermitLocalCommand=no",
        "RequestTTY=no",
        *openssh.trust(ssh),
    ]
    argv = ["ssh", "-F", "none"]
    for option in chosen:
        argv += ["-o", option]
    return argv


def connection(ssh: Ssh, address: str) -> list[str]:
    """The whole command line up to the host, without a command.

    OpenSSH's own ``ProxyJump`` would reach the hosts on the way with its defaults instead of these options.
    """
    plain = options(ssh)
    through: list[str] = []
    for hop in ssh.jump.split(",") if ssh.jump else ():
        destination = hop if "://" in hop else f"ssh://{hop}"
        # ssh puts the next host and port in for %h and %p, and takes %% for %.
        escaped = [word.replace("%", "%%") for word in (*plain, *through)]
        way = shlex.join([*escaped, "-W", "[%h]:%p", "--", destination.replace("%", "%%")])
        through = ["-o", f"ProxyCommand={way}"]
    argv = [*plain, *through]
    if ssh.port is not None:
        argv += ["-p", str(ssh.port)]
    if ssh.user is not None:
        argv += ["-l", ssh.user]
    return [*argv, "--", address]


def sharing(line: Sequence[str], socket: Path, *more: str) -> list[str]:
    """A command line over the connection that ``socket`` stands for; ``more`` are options."""
    return [line[0], "-S", str(socket), *more, *line[1:]]


def meaning(said: str) -> str:
    """What ssh complained of: one of the constants above, or nothing of these."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return CHANGED_KEY
    if "Host key verification failed" in said or "host key is known for" in said:
        return UNKNOWN_KEY
    if "Permission denied" in said or "Too many authentication failures" in said:
        return REFUSED
    silent = ("timed out", "Connection refused", "No route to host", "Network is unreachable", "Could not resolve")
    return SILENT if any(words in said for words in silent) else ""
