"""The vaults under test: the fake, Borg on a local path, and Borg over SSH."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drkit.config.model import VaultSsh
from drkit.lab import box as boxes
from drkit.vault.borg import BorgVault
from drkit.vault.borg_command import Repository
from tests.contract.memory_vault import MemoryVault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.lab.box import LabBox
    from drkit.vault.port import Vault

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module", autouse=True)
def _own_state() -> Iterator[None]:
    """What Borg remembers of these repositories is kept apart."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="drkit-xdg-") as base:
        patch.setenv("XDG_STATE_HOME", f"{base}/state")
        patch.setenv("XDG_CACHE_HOME", f"{base}/cache")
        yield


@pytest.fixture(scope="module")
def contract_box() -> Iterator[LabBox]:
    """One Storage Box stand-in for all tests of the suite."""
    directory = Path(tempfile.mkdtemp(prefix="drkit-contract-"))
    directory.chmod(0o755)
    try:
        with boxes.box(directory) as running:
            yield running
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def local_repository(path: Path) -> Repository:
    """A repository on this machine."""
    return Repository(str(path), VaultSsh(), None, "zstd,1", 5)


def remote_repository(box: LabBox, name: str) -> Repository:
    """A repository in the box."""
    return Repository(box.url(name), VaultSsh(key=box.key, known_hosts=box.known_hosts), None, "zstd,1", 5)


@pytest.fixture(scope="module", params=["memory", "local", "ssh"])
def vault(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """Each implementation with a repository of its own for the whole suite; a test uses names that no other uses."""
    made: Vault
    match request.param:
        case "memory":
            made = MemoryVault()
        case "local":
            path = tmp_path_factory.mktemp("vault") / "re po"
            made = BorgVault("databases", local_repository(path), PASSPHRASE)
        case _:
            box: LabBox = request.getfixturevalue("contract_box")
            made = BorgVault("databases", remote_repository(box, "suite"), PASSPHRASE)
    made.create()
    return made


@pytest.fixture(params=["memory", "local", "ssh"])
def empty_place(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    """Each implementation at a place without a repository."""
    match request.param:
        case "memory":
            return MemoryVault()
        case "local":
            return BorgVault("databases", local_repository(tmp_path / "nothing"), PASSPHRASE)
        case _:
            box: LabBox = request.getfixturevalue("contract_box")
            return BorgVault("databases", remote_repository(box, "nothing"), PASSPHRASE)


@pytest.fixture
def borg_vault(tmp_path: Path) -> BorgVault:
    """A new local repository, to be broken."""
    made = BorgVault("databases", local_repository(tmp_path / "vault"), PASSPHRASE)
    made.create()
    return made
