"""What the machine must have left for a lab: inotify instances, of which Linux gives each user 128 by default."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from drkit.lab.spec import LabSpec

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 1024
_PROC = Path("/proc")

_SERVER, _AGENT, _REST = 32, 16, 4
"""A server takes 21 at rest (API server, kubelet, controllers, systemd), an agent 11; the rest is for pods."""


def check_inotify(spec: LabSpec) -> None:
    """See that the nodes of ``spec`` can watch their files. Without that systemd ends in silence, kubelets with errors.

    Raises:
        PreflightFailed: there is not enough left, with the command that changes it.
    """
    limit, used = int(LIMIT.read_text()), inotify_in_use()
    if used + inotify_needed(spec) > limit:
        raise PreflightFailed(
            f"a user may have {limit} inotify instances on this machine; root has {used}, and this lab needs about"
            f" {inotify_needed(spec)} more",
            f"raise it until the next boot: sudo sysctl fs.inotify.max_user_instances={max(ENOUGH, 2 * limit)}",
        )


def inotify_needed(spec: LabSpec) -> int:
    """How many instances a lab takes, its pods included. Pure."""
    return spec.servers * _SERVER + spec.agents * _AGENT + _REST


def inotify_in_use() -> int:
    """How many root has now, those of other labs included; what another user cannot see counts as none."""
    return sum(_instances(process) for process in _PROC.iterdir() if process.name.isdigit())


def _instances(process: Path) -> int:
    with suppress(OSError):
        if process.stat().st_uid == 0:
            return sum(_is_inotify(descriptor) for descriptor in (process / "fd").iterdir())
    return 0


def _is_inotify(descriptor: Path) -> bool:
    with suppress(OSError):
        return str(descriptor.readlink()) == "anon_inode:inotify"
    return False
