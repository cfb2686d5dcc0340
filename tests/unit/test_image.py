"""What can be said of the image without building it."""

from __future__ import annotations

import re
import tomllib

from drkit.cronjobs.pods import USER
from tests.unit.cronjobs_tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()
TAKEN = {
    "drkit",
    "chaos",
    "runbooks",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "requirements.lock",
    "requirements-build.lock",
}


def _after(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in INSTRUCTIONS if line.startswith(f"{word} ")]


def test_nothing_but_the_program_is_copied() -> None:
    """What is copied is named one by one, and everything else is kept from the build; no key can be among it."""
    sources = {
        word.removeprefix("./")
        for each in _after("COPY")
        if not each.startswith("--from=")
        for word in each.split()[:-1]
    }
    assert sources == TAKEN
    assert not _after("ADD")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "**"
    assert {line[1:].removesuffix("/**") for line in rules if line.startswith("!")} == TAKEN


def test_nothing_without_a_hash_is_installed_from_the_index() -> None:
    """Each call of pip checks hashes, or asks no index; nothing is built in an environment that pip fills by itself."""
    calls = re.findall(r"pip (?:--python \S+ )?(?:install|wheel) [^&\n]*", "\n".join(_after("RUN")))
    assert len(calls) == 4
    for each in calls:
        assert (
            "--require-hashes" in each or "--no-index" in each or ("--no-deps" in each and each.rstrip().endswith("."))
        )
        assert "wheel " not in each or "--no-build-isolation" in each
    for name in ("requirements.lock", "requirements-build.lock"):
        lock = (ROOT / name).read_text(encoding="utf-8")
        pinned = re.findall(r"(?m)^[a-z0-9][\w.-]*(?:\[[\w,]+\])?==", lock)
        assert pinned
        assert len(re.findall(r"(?m)^[a-z0-9].*\\\n    --hash=sha256:", lock)) == len(pinned)


def test_what_builds_it_is_locked() -> None:
    """The locked packages of the image's build have drkit's build backend and what Borg is compiled with."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["image-build"]
    lock = (ROOT / "requirements-build.lock").read_text(encoding="utf-8")
    for each in wanted:
        name = re.split(r"[\[><=]", each)[0]
        assert re.search(rf"(?mi)^{name}==", lock)


def test_it_is_for_every_processor() -> None:
    """Nothing names an architecture: the same file builds for amd64 and for arm64."""
    assert not re.search(r"x86|amd64|aarch64|arm64|TARGETARCH", "\n".join(INSTRUCTIONS))
    assert not any("--platform" in each for each in _after("FROM"))


def test_its_user_is_nobody_and_the_one_that_pods_run_as() -> None:
    """It does not run as root, and the user has an entry, without which OpenSSH would not start."""
    assert _after("USER") == [f"{USER}:{USER}"]
    assert any(f"useradd --uid {USER} " in each for each in _after("RUN"))
    assert _after("HEALTHCHECK") == ["NONE"]
    last = INSTRUCTIONS[[index for index, line in enumerate(INSTRUCTIONS) if line.startswith("FROM")][-1] :]
    installed = " ".join(line for line in last if line.startswith("RUN"))
    assert "openssh-client" in installed
    assert not re.search(r"gcc|-dev\b", installed)


def test_what_the_package_includes_is_in_the_build() -> None:
    """Directories that the wheel takes from beside the package are copied as well."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert set(built["targets"]["wheel"]["force-include"]) <= TAKEN
