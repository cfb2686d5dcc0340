"""Starting a PostgreSQL server of our own: the user that it runs as, and waiting until it answers."""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import DrkitError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from drkit.postgres.connection import Dsn

START_SECONDS = 60.0


def unprivileged() -> str | None:
    """``postgres`` or ``nobody`` where drkit is root, which PostgreSQL refuses to be; elsewhere nothing."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def wait_until_ready(dsn: Dsn, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers.

    Raises:
        DrkitError: it ended, or did not answer in time; with the last lines of its log.
    """
    import psycopg  # noqa: PLC0415 - see Dsn.connect

    until = time.monotonic() + START_SECONDS
    while True:
        try:
            dsn.connect().close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise DrkitError(f"PostgreSQL did not start\n{process.tail(log.read_text(errors='replace'))}") from None
            time.sleep(0.05)  # PostgreSQL says nowhere when it is ready, other than by answering
        else:
            return
