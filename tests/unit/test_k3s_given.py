"""The real k3s, where it is given: what is taken for it, and what a node then gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.errors import PreflightFailed, UsageError
from drkit.lab.k3s import build
from drkit.lab.k3s.given import GivenK3s, files_digest, given, is_stand_in, version_line, write_node_files
from drkit.lab.k3s.standin import VERSION
from drkit.lab.nodes import may_grant_sys_resource

if TYPE_CHECKING:
    from pathlib import Path

REAL = "k3s version v1.34.4+k3s1 (6b330558)\ngo version go1.24.13\n"


def binary(directory: Path, content: str = "binary") -> Path:
    """A file in place of a binary."""
    path = directory / "k3s"
    path.write_text(content)
    return path


def taken(path: Path, images: Path | None = None) -> GivenK3s:
    """What is made of it."""
    found = given(path, images)
    assert found is not None
    return found


def test_nothing_given_is_the_stand_in(tmp_path: Path) -> None:
    """Without a binary there is none; with its images alone that is an error, and so is a file that is not there."""
    assert given(None, None) is None
    with pytest.raises(UsageError):
        given(None, binary(tmp_path))
    with pytest.raises(PreflightFailed, match="cannot be read"):
        given(tmp_path / "absent", None)
    with pytest.raises(PreflightFailed, match="cannot be read"):
        given(tmp_path, None)


def test_another_binary_or_other_images_are_another_k3s(tmp_path: Path) -> None:
    """A lab is of one k3s: its name changes with each byte of what is given, and with nothing else."""
    first = taken(binary(tmp_path))
    archive = tmp_path / "images.tar"
    archive.write_text("images")
    assert taken(tmp_path / "k3s") == first
    with_images = taken(tmp_path / "k3s", archive)
    other = taken(binary(tmp_path, "other binary"))
    assert len({first.digest, with_images.digest, other.digest}) == 3
    assert files_digest(first, build.UNITS) != files_digest(other, build.UNITS)


@pytest.mark.parametrize("said", ["", "bash: k3s: not found", "exec format error", "coreutils 9.1", "k3s version dev"])
def test_what_does_not_say_that_it_is_k3s_is_none(said: str) -> None:
    """A program that is asked for its version and answers something else is refused."""
    assert version_line(said) is None


def test_the_version_says_which_of_the_two_runs() -> None:
    """The real one and the stand-in are told apart by what they say of themselves."""
    assert version_line(REAL) == "k3s version v1.34.4+k3s1 (6b330558)"
    own = version_line(f"k3s version {VERSION} (drkit's stand-in for k3s, not k3s itself)\nover upstream Kubernetes")
    assert own is not None
    assert is_stand_in(own)
    assert not is_stand_in(REAL)


def test_a_node_with_the_real_one_has_nothing_of_the_stand_in(tmp_path: Path) -> None:
    """The image gets the binary as it is, its images where it looks for them, and units, and nothing else."""
    archive = tmp_path / "k3s-airgap-images-amd64.tar.zst"
    archive.write_text("images")
    root = tmp_path / "root"
    write_node_files(taken(binary(tmp_path), archive), build.UNITS, root)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    assert files == {
        "usr/local/bin/k3s",
        "usr/local/bin/kubectl",
        "var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst",
        "var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/lab.toml",
        "etc/systemd/system/k3s.service",
        "etc/systemd/system/k3s-agent.service",
    }
    assert (root / "usr/local/bin/k3s").read_text() == "binary"
    assert (root / "usr/local/bin/k3s").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("mask", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_a_right_that_the_machine_lacks_is_not_asked_for(mask: str, may: bool) -> None:
    """Docker refuses a container with a capability that root itself does not have."""
    assert may_grant_sys_resource(f"CapEff:\t0000000000000000\nCapBnd:\t{mask}\n") is may
