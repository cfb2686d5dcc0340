"""A node's files through a vault and out again: this machine's, chosen by the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.cluster.local import LocalNode
from drkit.errors import SourceFailed, VerificationFailed
from drkit.observe.progress import PlainReporter
from drkit.points.descriptor import OK, SourceEntry
from drkit.restore.files import write_out
from drkit.sources.server_files import ServerFilesSource
from tests.contract.memory_vault import MemoryVault

if TYPE_CHECKING:
    from pathlib import Path


def stored(vault: MemoryVault, source: ServerFilesSource, archive: str) -> SourceEntry:
    """The source, stored as a run does it."""
    with source.open() as stream:
        kept = vault.store(archive, stream, file_name=source.file_name)
        details = stream.details()
    return SourceEntry(
        name=source.name,
        kind=source.kind,
        vault="cluster",
        status=OK,
        archive=archive,
        file=source.file_name,
        size=kept.size,
        sha256=kept.sha256,
        details=details,
    )


@pytest.fixture
def vault() -> MemoryVault:
    """An empty one."""
    made = MemoryVault("cluster")
    made.create()
    return made


def test_files_come_back_as_a_tree(vault: MemoryVault, tmp_path: Path) -> None:
    """``restore --only server-files --into`` gives a directory for each node, laid out as the node is."""
    own = tmp_path / "own"
    (own / "sub").mkdir(parents=True)
    (own / "sub/file").write_text("content")
    (own / "link").symlink_to(own / "sub/file")
    (own / "sub").chmod(0o500)
    entry = stored(vault, ServerFilesSource(LocalNode("k3s-w1"), (str(own),)), "first")
    (out,) = write_out(tmp_path / "out", [entry], {"cluster": vault}, PlainReporter())
    assert out.is_dir()
    inside = out / str(own).lstrip("/")
    assert (inside / "sub/file").read_text() == "content"
    assert (inside / "link").resolve() == (inside / "sub/file").resolve()
    (own / "sub").chmod(0o700)


def test_what_was_not_sealed_is_not_written(vault: MemoryVault, tmp_path: Path) -> None:
    """An archive that is another one than the descriptor says leaves no tree behind, not even a part."""
    (tmp_path / "own").mkdir()
    entry = stored(vault, ServerFilesSource(LocalNode("k3s-w1"), (str(tmp_path / "own"),)), "first")
    other = SourceEntry(**{**entry.__dict__, "sha256": "0" * 64})
    with pytest.raises(VerificationFailed):
        write_out(tmp_path / "out", [other], {"cluster": vault}, PlainReporter())
    assert not list((tmp_path / "out").iterdir())


def test_a_failed_source_is_not_stored(vault: MemoryVault, tmp_path: Path) -> None:
    """A file that cannot be had fails the source before the vault seals anything."""
    with pytest.raises(SourceFailed, match="is not there"):
        stored(vault, ServerFilesSource(LocalNode("k3s-w1"), (str(tmp_path / "nowhere"),)), "first")
    assert vault.archives() == ()
