"""A k3s that is given: the file is what the nodes run, and what is no k3s is refused.

Where the real one cannot be had, the stand-in packed into one file takes its place: it comes to the nodes on the same
way, and says what it is.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from drkit.lab.engine import LABEL
from drkit.lab.k3s import build
from drkit.lab.recipes import BASE
from tests.lab.labs import COLD_SECONDS, LabUser, kubectl, ssh

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS), pytest.mark.xdist_group("lab-k3s")]

Lab = dict[str, Any]

_LIBRARY = "/usr/local/lib/k3s-standin"
_HEAD = f"""\
#!/bin/sh
# The stand-in for k3s in one file: it lays out what it needs the first time that it runs.
exec 9<"$0"
flock 9
if [ ! -d {_LIBRARY} ]; then
    mkdir -p {_LIBRARY}.new
    sed '1,/^=====$/d' "$0" | tar x -C {_LIBRARY}.new
    mv {_LIBRARY}.new {_LIBRARY}
fi
exec 9<&-
case $0 in *kubectl) set -- kubectl "$@" ;; esac
exec {_LIBRARY}/k3s "$@"
=====
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in as one file."""
    directory = tmp_path_factory.mktemp("packed")
    build.write_node_files(build.build(print, BASE), directory / "root")
    library = directory / "root" / _LIBRARY.lstrip("/")
    shutil.copy(directory / "root/usr/local/bin/k3s", library / "k3s")
    path = directory / "k3s"
    path.write_text(_HEAD, encoding="utf-8")
    with path.open("ab") as file:
        subprocess.run(["tar", "--create", "--directory", str(library), "."], stdout=file, check=True)
    return path


@pytest.fixture(scope="module")
def given(packed: Path, lab_user: LabUser, docker_engine: DockerClient) -> Iterator[Lab]:
    """A lab of one node that runs it; its image goes too."""
    name = f"{lab_user.prefix}-given"
    made = lab_user.run("up", "--agents", "0", "--k3s", str(packed), "--json", name=name).json()
    image = image_of(made, docker_engine)
    yield made
    lab_user.run("down", name=name)
    docker_engine.images.remove(image)


def image_of(lab: Lab, docker_engine: DockerClient) -> str:
    """The name of the image of its nodes."""
    return str(docker_engine.containers.get(lab["nodes"][0]["container"]).attrs["Config"]["Image"])


def test_the_given_file_is_what_the_nodes_run(given: Lab, packed: Path) -> None:
    """The node's ``k3s`` is the file, byte by byte; the cluster runs, and the status says what runs it."""
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    assert ssh(given, "server-1", "sha256sum /usr/local/bin/k3s").out.split()[0] == digest
    assert kubectl(given, "get", "nodes", "-o", "name").out.strip() == "node/server-1"
    assert given["k3s"]["kind"] == "stand-in"
    assert given["k3s"]["version"] in ssh(given, "server-1", "k3s --version").out


def test_nothing_of_the_stand_in_is_laid_in(given: Lab, docker_engine: DockerClient) -> None:
    """A node's image has the given file and k3s's units, and neither the stand-in's programs nor its images."""
    look = ["ls", "/usr/local/lib", "/usr/local/bin"]
    image = image_of(given, docker_engine)
    mine = {LABEL: given["name"]}
    listed = docker_engine.containers.run(image, look, network_mode="none", remove=True, labels=mine).decode()
    assert "k3s-standin" not in listed
    assert "k3s" in listed


def test_a_lab_of_another_k3s_is_refused(given: Lab, lab_user: LabUser) -> None:
    """``up`` does not go on with the stand-in where another k3s was given."""
    ran = lab_user.run("up", "--agents", "0", name=given["name"], expect=14)
    assert "that was given" in ran.err


def test_what_is_no_k3s_is_refused(lab_user: LabUser, tmp_path: Path, docker_engine: DockerClient) -> None:
    """A file that does not say that it is k3s is refused before there is a lab, and its image is not kept."""
    fake = tmp_path / "k3s"
    fake.write_text("#!/bin/sh\necho 'true (GNU coreutils) 9.7'\n", encoding="utf-8")
    name = f"{lab_user.prefix}-fake"
    ran = lab_user.run("up", "--agents", "0", "--k3s", str(fake), name=name, expect=16)
    assert "is not k3s" in ran.err
    assert "GNU coreutils" in ran.err
    assert lab_user.run("down", "--json", name=name).json()["removed"] == 0
    fake.write_bytes(b"\x7fELF and nothing else")
    ran = lab_user.run("up", "--agents", "0", "--k3s", str(fake), name=name, expect=16)
    assert "is not k3s" in ran.err
