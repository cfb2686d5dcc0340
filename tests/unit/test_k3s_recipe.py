"""The stand-in for k3s: what it is built of, and the images that it brings."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from drkit.lab.k3s import images, recipe
from drkit.lab.k3s.standin import KUBERNETES_VERSION, VERSION

if TYPE_CHECKING:
    from pathlib import Path


def module(name: str) -> recipe.Module:
    """The module of that name."""
    return next(each for each in recipe.modules() if each.name == name)


def test_every_part_of_kubernetes_has_its_version() -> None:
    """Every module that Kubernetes replaces by a directory is replaced by the version that belongs to the release."""
    text = recipe.go_mod(module("kubernetes"))
    assert "require k8s.io/kubernetes v1.34.4" in text
    assert "replace k8s.io/kube-controller-manager => k8s.io/kube-controller-manager v0.34.4" in text
    assert text.count("replace ") == 31


def test_the_versions_that_are_built_are_those_that_are_told() -> None:
    """The stand-in tells the version of Kubernetes that the recipe builds, and marks it as a stand-in's."""
    assert f"v{recipe.KUBERNETES}" == KUBERNETES_VERSION
    command = " ".join(recipe.build_command(module("kubernetes"), "go", "out"))
    assert f"-X k8s.io/component-base/version.gitVersion={VERSION}" in command


@pytest.mark.parametrize("each", recipe.modules(), ids=lambda each: each.name)
def test_every_module_is_pinned(each: recipe.Module) -> None:
    """What a module wants is named with its hash in go.sum; a module that wants nothing has its own program."""
    directory = recipe.MODULES / each.name
    if each.requires:
        pinned = (directory / "go.sum").read_text(encoding="utf-8")
        assert all(f"{path} v{version} h1:" in pinned for path, version in each.requires)
    assert (directory / "main.go").exists() == (each.package == ".")


def test_a_build_is_named_by_what_goes_into_it() -> None:
    """Two modules, or two versions of one, never share a cached program."""
    assert len({recipe.digest(each) for each in recipe.modules()}) == len(recipe.modules())


@pytest.mark.parametrize(
    ("said", "enough"),
    [
        ("go version go1.24.0 linux/amd64", True),
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.25rc1 linux/arm64", True),
        ("go version go1.19.8 linux/amd64", False),
        ("bash: go: command not found", False),
    ],
)
def test_an_old_go_is_not_used(said: str, enough: bool) -> None:
    """A Go that cannot build Kubernetes is told from one that can."""
    assert recipe.new_enough(said) is enough


def test_an_image_holds_its_program_and_is_the_same_each_time(tmp_path: Path) -> None:
    """An image's file names the image, holds the program as executable, and has the same bytes when written again."""
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    image = images.Image("localhost/drkit-lab/x:1", (("/x", program),), ("/x",))
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    images.write(image, first, "x86_64")
    images.write(image, second, "x86_64")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        configuration = json.load(archive.extractfile(manifest[0]["Config"]) or pytest.fail("no configuration"))
        layer = archive.extractfile(manifest[0]["Layers"][0])
        with tarfile.open(fileobj=layer) as content:
            assert content.getmember("x").mode == 0o755
    assert manifest[0]["RepoTags"] == ["localhost/drkit-lab/x:1"]
    assert (configuration["architecture"], configuration["config"]["Entrypoint"]) == ("amd64", ["/x"])
