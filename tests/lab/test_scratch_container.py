"""`drkit verify --deep` on a machine without PostgreSQL's server programs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.postgres.scratch import container
from tests.lab.site import Site, finish
from tests.lab.test_crashes import _so_far
from tests.lab.test_vault_trouble import BULKY
from tests.lab.waiting import until
from tests.stand_in_image import docker, need_engine

if TYPE_CHECKING:
    from collections.abc import Callable

# In a mount namespace of the command's own, so that nobody else misses them.
_HIDING = {
    "server programs": "for program in /usr/lib/postgresql/*/bin/initdb; do mount --bind /dev/null $program; done",
    "all programs": "mount -t tmpfs none /usr/lib/postgresql",
}


def _hide(site: Site, what: str, more: str = "") -> None:
    """From now on the site's command does not find PostgreSQL's programs."""
    if os.geteuid() != 0 or not Path("/usr/lib/postgresql").is_dir():
        pytest.skip("hiding this machine's PostgreSQL needs root, and Debian's directories")
    site.wrapper = ("unshare", "--mount", "sh", "-ec", f'{_HIDING[what]}{more}; exec "$@"', "sh")


@pytest.fixture
def bare(site: Site, lab_directory: Path) -> Site:
    """A site whose temporary directory is its own, with a path that is short enough for a socket."""
    temporary = lab_directory / "t"
    temporary.mkdir(exist_ok=True)
    site.environment["TMPDIR"] = str(temporary)
    return site


def _containers(pid: int) -> str:
    """The scratch containers of one drkit."""
    owner = f"{Path('/proc/self/ns/pid').stat().st_ino}.{pid}"
    return docker("ps", "--all", "--quiet", "--filter", f"label={container.LABEL}={owner}").stdout


def _left(site: Site) -> list[str]:
    return [path.name for path in Path(site.environment["TMPDIR"]).glob("drkit-*")]


@pytest.mark.parametrize("staged", [False, True], ids=["custom format", "directory format"])
@pytest.mark.parametrize("hidden", _HIDING)
def test_passes_in_a_container(bare: Site, small: str, scratch_image: str, hidden: str, staged: bool) -> None:
    """Without local server programs the restore is tried in a container, with its clients where none are here."""
    staging = f"staging: {bare.environment['TMPDIR']}\n" if staged else ""
    bare.write({"shop": small}, more=f"{staging}postgresql:\n  scratch_image: {scratch_image}")
    bare.run("backup")
    _hide(bare, hidden)
    child = bare.start("verify", "--deep", "--json")
    ran = finish(child)
    assert ran.status == 0, ran
    assert ran.json()["verified"] is True
    assert f"runs in a container of {scratch_image.split(':', maxsplit=1)[0]}" in ran.err
    assert bare.points()[0]["verified"]["level"] == "restored"
    assert _containers(child.pid) == ""
    assert _left(bare) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["made", "in use"])
def test_interrupted(
    bare: Site, database: Callable[..., str], scratch_image: str, number: signal.Signals, moment: str
) -> None:
    """After Ctrl-C or SIGTERM, while the container is made or used, it is gone when the command ends, with exit 130."""
    bare.write({"bulky": database(BULKY)}, more=f"postgresql:\n  scratch_image: {scratch_image}")
    bare.run("backup")
    _hide(bare, "server programs")
    child = bare.start("verify", "--deep")
    until(lambda: _reached(child.pid, moment, _so_far(child)) or child.poll() is not None)
    child.send_signal(number)
    ran = finish(child)
    assert ran.status == 130, ran
    assert _containers(child.pid) == ""
    assert _left(bare) == []


def _reached(pid: int, moment: str, said: str) -> bool:
    return "in a container" in said if moment == "in use" else _containers(pid) != ""


def test_killed(bare: Site, database: Callable[..., str], scratch_image: str) -> None:
    """After kill -9 the container ends and goes by itself, and the next run removes the directory that was left."""
    bare.write({"bulky": database(BULKY)}, more=f"postgresql:\n  scratch_image: {scratch_image}")
    bare.run("backup")
    _hide(bare, "server programs")
    child = bare.start("verify", "--deep")
    until(lambda: "in a container" in _so_far(child) or child.poll() is not None)
    child.kill()
    child.wait()
    until(lambda: _containers(child.pid) == "")
    bare.run("verify", "--deep")
    assert _left(bare) == []


_NO_DOCKER = '; for program in $(which -a docker); do mount --bind /dev/null "$program"; done'
_MISSING = {
    "docker command": (_NO_DOCKER, {}, "there is no docker command"),
    "engine": ("", {"DOCKER_HOST": "unix:///nowhere"}, "no Docker engine answers"),
    "image": ("", {}, "the image 127.0.0.1:1/absent:"),
}


@pytest.mark.parametrize("missing", _MISSING)
def test_what_is_missing_is_named(bare: Site, small: str, missing: str) -> None:
    """Where neither programs nor a container can be had, exit 16 says which server is needed and what is not there."""
    hiding, environment, named = _MISSING[missing]
    if missing == "image":
        need_engine()
    bare.write({"shop": small}, more="postgresql:\n  scratch_image: 127.0.0.1:1/absent:{major}")
    bare.run("backup")
    _hide(bare, "all programs", hiding)
    bare.environment |= environment
    ran = bare.run("verify", "--deep", expect=16)
    major = bare.postgres.major
    assert f"a scratch PostgreSQL {major} is needed: its server programs are not here, and {named}" in ran.err
    assert f"postgresql-{major}" in ran.err
