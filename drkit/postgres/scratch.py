"""A PostgreSQL server for the time of one verification: own directory, no network, run without privileges."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import PreflightFailed
from drkit.postgres import programs
from drkit.postgres.connection import Dsn
from drkit.postgres.starting import START_SECONDS, unprivileged, wait_until_ready
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_USER = "drkit"
_SYSTEM_TEMPORARY = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - a workspace in it is private
_SETTINGS = {
    "listen_addresses": "",
    # Nothing in it outlives the verification, so nothing has to survive a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "1024",
    "logging_collector": "off",
}


@dataclass(frozen=True)
class Scratch:
    """A running scratch server."""

    major: int
    directory: Path
    bin_dir: Path

    def dsn(self, database: str) -> Dsn:
        """How one of its databases is reached."""
        return Dsn({"host": str(self.directory), "user": _USER, "dbname": database, "port": "5432"}, None)


@contextmanager
def server(major: int, bin_dirs: Iterable[Path], parent: Path | None) -> Iterator[Scratch]:
    """A fresh server of this major version; gone, with its data, after the body.

    Args:
        major: the version, exactly: other versions would not prove that this one can restore.
        bin_dirs: where else PostgreSQL's programs may be.
        parent: where its data goes, if its user can get there; else the system's temporary directory.

    Raises:
        PreflightFailed: there are no programs of this version here.
    """
    bin_dir = programs.server(major, bin_dirs)
    if bin_dir is None:
        raise PreflightFailed(
            f"a scratch PostgreSQL {major} is needed, and its server programs are not here",
            f"install them (Debian: postgresql-{major}) or name their directory in postgresql.bin_dirs",
        )
    user = unprivileged()
    with workspace(_enterable(parent, user)) as own:
        # The workspace stays ours, so that a later run may remove it; what the server owns is inside.
        own.chmod(0o711)
        directory = own / "server"
        directory.mkdir(mode=0o700)
        if user is not None:
            shutil.chown(directory, user)
        _initialise(bin_dir, directory / "data", user)
        log = directory / "log"
        with log.open("wb") as output:
            postgres = process.spawn(
                [str(bin_dir / "postgres"), "-D", str(directory / "data"), *_options(directory)],
                env=process.clean_environment(),
                stdout=output,
                stderr=output,
                user=user,
                cwd=str(directory),
            )
        try:
            scratch = Scratch(major, directory, bin_dir)
            wait_until_ready(scratch.dsn("postgres"), postgres, log)
            yield scratch
        finally:
            process.stop(postgres, patience=2.0)


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
    # The C locale and UTF-8 are in every build; each database gets the encoding of its original.
    argv = [
        str(bin_dir / "initdb"),
        "-D",
        str(data),
        "-U",
        _USER,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    done = process.run(argv, deadline=START_SECONDS, env=process.clean_environment(), user=user)
    if done.status != 0:
        raise PreflightFailed(f"the scratch PostgreSQL could not be made\n{process.tail(done.stderr)}")


def _options(directory: Path) -> list[str]:
    options = ["-k", str(directory)]
    for name, value in _SETTINGS.items():
        options += ["-c", f"{name}={value}"]
    return options
