"""A scratch server by this machine's own programs: own directory, no network, run without privileges."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import PreflightFailed
from drkit.postgres import programs
from drkit.postgres.scratch.server import Scratch, initdb, postgres
from drkit.postgres.starting import START_SECONDS, unprivileged, wait_until_ready
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYSTEM_TEMPORARY = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - a workspace in it is private


@contextmanager
def server(major: int, bin_dir: Path, bin_dirs: tuple[Path, ...], parent: Path | None) -> Iterator[Scratch]:
    """A fresh server; gone, with its data, after the body.

    Args:
        major: the major version of the programs in ``bin_dir``.
        bin_dir: where the server's programs are.
        bin_dirs: where client programs may be, besides the usual places.
        parent: where its data goes, if its user can get there; else the system's temporary directory.

    Raises:
        PreflightFailed: no directory can be entered by the server's user, or the server could not be made.
    """
    user = unprivileged()
    with workspace(_enterable(parent, user)) as own:
        # The workspace stays ours, so that a later run may remove it; what the server owns is inside.
        own.chmod(0o711)
        directory = own / "server"
        directory.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(directory, user)
        data = directory / "data"
        _initialise(bin_dir, data, user)
        log = directory / "log"
        with log.open("wb") as output:
            running = process.spawn(
                postgres(str(bin_dir / "postgres"), str(data), directory),
                env=process.clean_environment(),
                stdout=output,
                stderr=output,
                user=user,
                cwd=str(directory),
            )
        try:
            scratch = Scratch(major, directory, lambda program: [programs.client(program, major, bin_dirs)])
            wait_until_ready(scratch.dsn("postgres"), running, log)
            yield scratch
        finally:
            process.stop(running, patience=2.0)


def _enterable(parent: Path | None, user: str | None) -> Path:
    """The first directory where the server's user can get: ``parent``, the temporary directory, the system's own."""
    if parent is not None:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for candidate in [*([parent] if parent else []), Path(tempfile.gettempdir()), *_SYSTEM_TEMPORARY]:
        if process.run(["test", "-x", str(candidate)], deadline=START_SECONDS, user=user).status == 0:
            return candidate
    raise PreflightFailed(
        f"no directory for the scratch PostgreSQL that the user {user} can enter", "make TMPDIR or staging one"
    )


def _initialise(bin_dir: Path, data: Path, user: str | None) -> None:
    argv = initdb(str(bin_dir / "initdb"), str(data))
    done = process.run(argv, deadline=START_SECONDS, env=process.clean_environment(), user=user)
    if done.status != 0:
        raise PreflightFailed(f"the scratch PostgreSQL could not be made\n{process.tail(done.stderr)}")
