"""A PostgreSQL server of the lab's own: real, on loopback, with a password, gone after use."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from drkit import process
from drkit.errors import DrkitError, PreflightFailed
from drkit.lab.ports import free_port
from drkit.postgres import programs
from drkit.postgres.connection import Dsn
from drkit.postgres.starting import START_SECONDS, unprivileged, wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SUPERUSER = "postgres"
_SETTINGS = {"fsync": "off", "shared_buffers": "256MB", "max_wal_size": "2GB"}


@dataclass(frozen=True)
class LabPostgres:
    """A running server."""

    major: int
    bin_dir: Path
    port: int
    password: str

    def dsn(self, database: str, *, user: str = _SUPERUSER, password: str | None = None) -> Dsn:
        """How one of its databases is reached, for code."""
        parameters = {"host": "127.0.0.1", "port": str(self.port), "user": user, "dbname": database}
        return Dsn(parameters, self.password if password is None else password)

    def address(self, database: str, *, user: str = _SUPERUSER, password: str | None = None) -> str:
        """The same, as a connection string for a configuration."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@127.0.0.1:{self.port}/{quote(database, safe='')}"


def newest_major() -> int:
    """The newest major version whose server programs are here.

    Raises:
        PreflightFailed: there is none.
    """
    for major in range(30, 12, -1):
        if programs.server(major) is not None:
            return major
    raise PreflightFailed(
        "no PostgreSQL server programs are here", "install them (Debian: postgresql), or run: make setup"
    )


@contextmanager
def server(
    directory: Path, major: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[LabPostgres]:
    """A fresh server with its data in ``directory``, for the time of the body.

    Args:
        directory: an existing directory; the caller removes it.
        major: the version; the newest that is here when left out.
        settings: more settings for ``postgresql.conf``.
    """
    version = newest_major() if major is None else major
    bin_dir = programs.server(version)
    if bin_dir is None:
        raise PreflightFailed(f"PostgreSQL {version} is not here", f"install it (Debian: postgresql-{version})")
    user = unprivileged()
    home = directory / "postgres"
    home.mkdir()
    if user is not None:
        shutil.chown(home, user)
    made = LabPostgres(version, bin_dir, free_port(), secrets.token_urlsafe(12))
    _initialise(made, home, user)
    log = home / "log"
    settings = {**_SETTINGS, **(settings or {}), "listen_addresses": "127.0.0.1", "port": str(made.port)}
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        postgres = process.spawn(
            [str(bin_dir / "postgres"), "-D", str(home / "data"), "-k", str(home), *options],
            env=process.clean_environment(),
            stdout=output,
            stderr=output,
            user=user,
            cwd=str(home),
        )
    try:
        wait_until_ready(made.dsn("postgres"), postgres, log)
        yield made
    finally:
        process.stop(postgres, patience=5.0)


def _initialise(made: LabPostgres, home: Path, user: str | None) -> None:
    words = home / "password"
    words.write_text(made.password)
    words.chmod(0o600)
    if user is not None:
        shutil.chown(words, user)
    argv = [str(made.bin_dir / "initdb"), "-D", str(home / "data"), "-U", _SUPERUSER, "-A", "scram-sha-256"]
    argv += ["--pwfile", str(words), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    done = process.run(argv, deadline=START_SECONDS, env=process.clean_environment(), user=user)
    words.unlink()
    if done.status != 0:
        raise DrkitError(f"the lab's PostgreSQL could not be made\n{process.tail(done.stderr)}")
