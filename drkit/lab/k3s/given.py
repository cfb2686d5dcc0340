"""The real k3s, where its binary is given: what it must say to be taken for k3s, and how it is laid onto a node."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed, UsageError

if TYPE_CHECKING:
    from pathlib import Path

BINARY_VARIABLE = "DRKIT_K3S_BINARY"
IMAGES_VARIABLE = "DRKIT_K3S_IMAGES"

BINARY = "usr/local/bin/k3s"
IMAGES = "var/lib/rancher/k3s/agent/images"
"""Where k3s looks for images before it asks a registry (docs.k3s.io/installation/airgap)."""

SYSTEMD = "etc/systemd/system"
_CONTAINERD = "var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/lab.toml"
_DROP_IN = """\
# For a containerd in a container: no score below the container's own can be set.
version = 3

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
"""
"""Read by releases since March 2026 (k3s #13680). An older one needs the capability SYS_RESOURCE instead."""

_VERSION = re.compile(r"k3s version v\d+\.\d+\.\d+\S*( .*)?")


@dataclass(frozen=True)
class GivenK3s:
    """A binary of k3s, the archive of the images it wants where no registry is reachable, and a name for both."""

    binary: Path
    images: Path | None
    digest: str


def given(binary: Path | None, images: Path | None) -> GivenK3s | None:
    """The k3s that a user names; None where none is named.

    Raises:
        UsageError: images are named, and no binary.
        PreflightFailed: a file cannot be read.
    """
    if binary is None:
        if images is not None:
            raise UsageError("the images of k3s are given, and k3s is not", "--k3s PATH, with the binary's path")
        return None
    content = hashlib.sha256()
    for path in filter(None, (binary, images)):
        try:
            with path.open("rb") as file:
                content.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise PreflightFailed(f"{path} cannot be read: {error.strerror}", "it must be a file") from None
    return GivenK3s(binary, images, content.hexdigest()[:16])


def version_line(said: str) -> str | None:
    """The line that names the version in what ``k3s --version`` printed; None where that was not k3s. Pure."""
    first = said.strip().partition("\n")[0].strip()
    return first if _VERSION.fullmatch(first) else None


def is_stand_in(version: str) -> bool:
    """Whether a version line is that of drkit's stand-in, which says so. Pure."""
    return "stand-in" in version


def write_node_files(k3s: GivenK3s, units: Path, root: Path) -> None:
    """Lay out below ``root`` what a node's image gets: k3s, its images and its units, and nothing of the stand-in's."""
    command, drop_in = root / BINARY, root / _CONTAINERD
    for directory in (command.parent, drop_in.parent, root / IMAGES, root / SYSTEMD):
        directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(k3s.binary, command)
    command.chmod(0o755)
    command.with_name("kubectl").symlink_to("k3s")
    if k3s.images is not None:
        shutil.copyfile(k3s.images, root / IMAGES / k3s.images.name)
    drop_in.write_text(_DROP_IN, encoding="utf-8")
    for unit in units.iterdir():
        shutil.copyfile(unit, root / SYSTEMD / unit.name)


def files_digest(k3s: GivenK3s, units: Path) -> str:
    """Names what ``write_node_files`` lays out."""
    parts = [k3s.digest, _DROP_IN, *(unit.read_text(encoding="utf-8") for unit in sorted(units.iterdir()))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
