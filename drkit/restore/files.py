"""Archives out of the vault into files, for whoever wants to look or to restore by hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import state
from drkit.errors import TargetNotEmpty
from drkit.manifests import write as manifests
from drkit.points import names
from drkit.restore.stream import Whole, feed
from drkit.restore.unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drkit.observe.progress import Reporter, Task
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault


def write_out(
    directory: Path, sources: Sequence[SourceEntry], vaults: Mapping[str, Vault], reporter: Reporter
) -> list[Path]:
    """Write each source's archive to a file or directory of its own, readable by its owner alone, whole or not at all.

    Raises:
        TargetNotEmpty: a file of that name is there; none is overwritten.
        VerificationFailed: an archive is not what was sealed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = {source.name: directory / _called(source) for source in sources}
    there = [str(path) for path in places.values() if os.path.lexists(path)]
    if there:
        raise TargetNotEmpty(f"{', '.join(there)} is there already; nothing was written", "choose an empty directory")
    for source in sources:
        write = _TREES.get(source.kind, _as_file)
        with reporter.task(source.name) as task:
            write(vaults[source.vault], source, places[source.name], task)
    state.sync_directory(directory)
    return list(places.values())


def _called(source: SourceEntry) -> str:
    name = names.slug(source.name)
    return name if source.kind in _TREES else f"{name}-{source.file}"


def _as_file(vault: Vault, source: SourceEntry, place: Path, task: Task) -> None:
    partial = place.with_name(f".{place.name}.partial")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            feed(vault, source, file.write, task)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _manifests(vault: Vault, source: SourceEntry, place: Path, _: Task) -> None:
    with vault.open(source.archive) as reader:
        manifests.write_out(Whole(reader, source).read, source.details, place)


def _server_files(vault: Vault, source: SourceEntry, place: Path, _: Task) -> None:
    partial = place.with_name(f".{place.name}.partial")
    _remove(partial)  # what a run left that was killed
    try:
        with vault.open(source.archive) as reader:
            unpack(Whole(reader, source), partial)
        partial.rename(place)
    finally:
        _remove(partial)


def _remove(directory: Path) -> None:
    """Remove a tree, of which some directories may not be writable for their owner."""
    for path, _, _ in os.walk(directory):
        Path(path).chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)


_TREES: dict[str, Callable[[Vault, SourceEntry, Path, Task], None]] = {
    "manifests": _manifests,
    "server-files": _server_files,
}
"""Kinds whose archive becomes a directory."""
