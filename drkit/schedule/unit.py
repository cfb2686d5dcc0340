"""The systemd unit of the scheduler: what it may write, and its text.

What it may do follows systemd.exec(5): it reads the machine, writes what is drkit's, and gains no right that its user
has not. It shares state with the commands that the same user gives by hand, so that they see each other's locks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.schedule.child import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drkit.config.model import Config

ENVIRONMENT_FILE = "/etc/drkit/environment"
"""Where variables stand that ``drkit.yaml`` takes secrets from (``{env: NAME}``)."""
_GRACE = 30.0
"""Seconds for the scheduler itself, when its jobs have ended."""
_ROOT_MAY = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID"
"""What root needs to read every file that it backs up, and to run a scratch PostgreSQL as somebody else."""
_K3S = "/var/lib/rancher"


@dataclass(frozen=True)
class Place:
    """Where the scheduler runs.

    Attributes:
        user: whose commands it gives.
        command: what starts it.
        state: drkit's state directory.
        cache: its cache.
        writable: what it writes beside them.
    """

    user: str
    command: Sequence[str]
    state: Path
    cache: Path
    writable: Sequence[Path] = ()


def writable(config: Config) -> tuple[Path, ...]:
    """What the jobs of this configuration write on this machine, beside state and cache: existing directories."""
    found = [Path(vault.url) for vault in config.vaults.values() if not vault.is_remote]
    found += [each for each in (config.signing_key.file, config.staging) if each is not None]
    return tuple(dict.fromkeys(each if each.is_dir() else each.parent for each in found))


def text(cluster: str, place: Place, *, on_servers: bool) -> str:
    """The unit.

    Args:
        cluster: as ``drkit.yaml`` calls it.
        place: where it runs.
        on_servers: whether this machine may be one of the cluster's own, where k3s writes snapshots.
    """
    paths = [_quoted(str(each)) for each in dict.fromkeys((place.state, place.cache, *place.writable))]
    paths += [f"-{_K3S}"] if on_servers else []
    capabilities = _ROOT_MAY if place.user == "root" else ""
    return f"""\
# Made by `drkit schedule unit`, for the user who asked. To install it:
#   drkit schedule unit | sudo tee /etc/systemd/system/drkit.service
#   sudo systemctl daemon-reload && sudo systemctl enable --now drkit
# After a change of drkit.yaml: systemctl restart drkit
[Unit]
Description=drkit: scheduled backups and proofs of {_plain(cluster)}
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=exec
User={_plain(place.user)}
ExecStart={" ".join(_quoted(word).replace("$", "$$") for word in place.command)}
Environment={_quoted(f"XDG_STATE_HOME={place.state.parent}")} {_quoted(f"XDG_CACHE_HOME={place.cache.parent}")}
# Variables that drkit.yaml takes secrets from, NAME=VALUE, readable by root alone.
EnvironmentFile=-{ENVIRONMENT_FILE}
# Jobs that are interrupted undo what they began; nobody but the scheduler tells them.
KillMode=mixed
TimeoutStopSec={PATIENCE + _GRACE:.0f}
Restart=on-failure
RestartSec=30
# Usage, configuration, another scheduler: the same again would end the same.
RestartPreventExitStatus=2 4 11
# A job that takes all memory dies alone.
OOMPolicy=continue

NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={" ".join(paths)}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def _plain(value: str) -> str:
    """A value on a line of its own: nothing in it ends the line or is a specifier."""
    return "".join(each if each.isprintable() else " " for each in value).replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a line, whatever it holds (systemd.syntax(7), systemd.service(5))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return escaped if escaped and not set(escaped) & set(" \t'\\\"") else f'"{escaped}"'
