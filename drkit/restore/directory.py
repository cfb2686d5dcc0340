"""Directory dumps: out of the vault as a tar, unpacked where there is room, used only when the checksum fits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import VerificationFailed
from drkit.restore.stream import feed
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.observe.progress import Task
    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Reader, Vault

_UNPACK_SECONDS = 6 * 3600.0


@contextmanager
def unpacked(
    vault: Vault,
    source: SourceEntry,
    parent: Path,
    task: Task | None,
    opened: AbstractContextManager[Reader] | None = None,
) -> Iterator[Path]:
    """The dump's directory, for the time of the body.

    Raises:
        VerificationFailed: the archive is not what was sealed, or its tar wants to leave the directory.
    """
    with workspace(parent) as directory:
        archive = directory / "dump.tar"
        with archive.open("wb") as file:
            feed(vault, source, file.write, task, opened)
        dump = directory / "dump"
        dump.mkdir(mode=0o700)
        # GNU tar follows no ".." and no absolute name out of the directory; what it unpacks was compared just now.
        argv = [
            "tar",
            "--extract",
            f"--file={archive}",
            f"--directory={dump}",
            "--no-same-owner",
            "--no-same-permissions",
        ]
        done = process.run(argv, deadline=_UNPACK_SECONDS, env=process.clean_environment())
        if done.status != 0:
            raise VerificationFailed(f"{source.name}: its tar cannot be unpacked: {process.tail(done.stderr)}")
        archive.unlink()
        yield dump
