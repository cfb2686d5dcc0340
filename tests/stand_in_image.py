"""An image that stands in for the official `postgres` where no registry is: real PostgreSQL, from Debian's packages.

It has what drkit relies on and no more: ``sh``, a user ``postgres``, and the programs on the PATH. It is kept in the
engine under a tag that is the hash of how it is made, so that it is made once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

REPOSITORY = "drkit-tests/postgres-stand-in"

_SUITES = {15: "bookworm", 17: "trixie"}
_RECIPE = """set -eu
debootstrap --variant=minbase --include=postgresql-{major} {suite} root {mirror}
rm -rf root/var/cache/apt/archives root/var/lib/apt/lists root/var/lib/postgresql/{major}
tar --numeric-owner --one-file-system --create --directory=root --file=root.tar .
docker import --change "ENV PATH=/usr/lib/postgresql/{major}/bin:/usr/sbin:/usr/bin:/sbin:/bin" root.tar {tag}
"""


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the Docker engine to its end."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)


def need_engine() -> None:
    """Skip the test, saying why, where no Docker engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command: the scratch server in a container cannot be tried")
    answer = docker("version", "--format", "{{.Server.Version}}")
    if answer.returncode != 0:
        pytest.skip(f"no Docker engine answers: {answer.stderr.strip()}")


def ensure(major: int) -> str:
    """The stand-in's name with ``{major}`` for the version, as ``postgresql.scratch_image`` takes it.

    Makes it where it is not in the engine yet: some two minutes, and 450 MB there.
    """
    need_engine()
    if major not in _SUITES:
        pytest.skip(f"no Debian suite is known whose own PostgreSQL is {major}")
    recipe = _RECIPE.format(major=major, suite=_SUITES[major], mirror="", tag="")
    version = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    tag = f"{REPOSITORY}:{major}-{version}"
    if docker("image", "inspect", tag).returncode != 0:
        _make(major, tag)
    return f"{REPOSITORY}:{{major}}-{version}"


def _make(major: int, tag: str) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip(f"making the image {tag} needs root and debootstrap")
    recipe = _RECIPE.format(major=major, suite=_SUITES[major], mirror=_mirror(), tag=tag)
    with tempfile.TemporaryDirectory(prefix="drkit-image-", dir="/var/tmp") as directory:
        log = Path(directory) / "log"
        with log.open("wb") as output:
            made = subprocess.run(["sh", "-c", recipe], cwd=directory, stdout=output, stderr=output, check=False)
        assert made.returncode == 0, log.read_text(errors="replace")[-2000:]


def _mirror() -> str:
    """The mirror that this machine's own apt uses."""
    argv = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    found = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()
    return next((mirror for mirror in found if "security" not in mirror), "")
