"""k3s's program on a machine: which version is there, and whether it will do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import PreflightFailed
from drkit.process import DeadlineExceeded
from drkit.restore.etcd.machine import UNITS

if TYPE_CHECKING:
    from drkit.cluster.node import Node
    from drkit.restore.etcd.values import Role

INSTALLER = "curl -sfL https://get.k3s.io | sh -"
"""k3s's documented way (docs.k3s.io/installation/configuration): a shell command, told by ``INSTALL_K3S_…``."""
_SECONDS = 60.0
_INSTALL_SECONDS = 900.0
_LOOK = """
if command -v k3s >/dev/null; then k3s --version; fi
systemctl cat "$1.service" >/dev/null 2>&1 && echo "drkit: unit"
"""


def see_version(node: Node, role: Role, version: str) -> None:
    """See that ``install`` would not refuse what is there; nothing is changed.

    Raises:
        PreflightFailed: another version is there.
    """
    _see_fits(node, _installed(node, role)[0], version)


def install(node: Node, role: Role, version: str, command: str = INSTALLER) -> None:
    """See that k3s of this version is there, with a unit, and install it where it is not; it is not started.

    Args:
        node: the machine.
        role: what it is going to be.
        version: as ``k3s --version`` names it; a newer patch, or one minor version more, will do too. Where it is
            empty, whichever is there will do, and else the newest stable one is installed.
        command: what installs it.

    Raises:
        PreflightFailed: another version is there, or it cannot be installed.
    """
    there, unit = _installed(node, role)
    if not there or not unit:
        variables = {
            "INSTALL_K3S_VERSION": version,
            "INSTALL_K3S_EXEC": role,
            "INSTALL_K3S_SKIP_START": "true",
            "INSTALL_K3S_SKIP_ENABLE": "true",
        }
        argv = ["env", *(f"{name}={value}" for name, value in variables.items()), "sh", "-c", command]
        try:
            done = node.run(argv, deadline=_INSTALL_SECONDS)
        except DeadlineExceeded as error:
            raise PreflightFailed(f"{node.name}: {error}", _INSTALL_HINT) from None
        there, unit = _installed(node, role)
        if not there or not unit:
            said = process.tail(done.stderr or done.stdout.decode(errors="replace"))
            raise PreflightFailed(f"{node.name}: k3s could not be installed: {said}", _INSTALL_HINT)
    _see_fits(node, there, version)


def _see_fits(node: Node, there: str, version: str) -> None:
    if version and there and not fits(there, version):
        raise PreflightFailed(
            f"{node.name} has k3s {there}, and the cluster was on {version}",
            f"install {version} there, or remove k3s: it is then installed",
        )


_INSTALL_HINT = "see that the machine reaches what it installs from, or put k3s and its unit there yourself"


def _installed(node: Node, role: Role) -> tuple[str, bool]:
    """The version of k3s that is there, empty where there is none, and whether its unit is."""
    done = node.run(["sh", "-c", _LOOK, "sh", UNITS[role]], deadline=_SECONDS)
    words = done.stdout.decode(errors="replace").split()
    version = next((word for word in words if re.match(r"v\d+\.\d+\.\d+", word)), "")
    return version, "drkit: unit" in done.stdout.decode(errors="replace")


def fits(there: str, wanted: str) -> bool:
    """Whether a version can take over the datastore of another: the same or a newer patch, or the next minor. Pure.

    Kubernetes, "Version Skew Policy": a control plane is upgraded one minor version at a time, and never goes back.
    """
    numbers = [re.match(r"v?(\d+)\.(\d+)\.(\d+)", each) for each in (there, wanted)]
    if None in numbers:
        return there == wanted
    (major, minor, patch), (old_major, old_minor, old_patch) = (
        tuple(map(int, each.groups())) for each in numbers if each
    )
    return major == old_major and (minor == old_minor + 1 or (minor == old_minor and patch >= old_patch))
