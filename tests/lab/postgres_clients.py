"""PostgreSQL's programs as the lab's machines have them: this machine's own may be older than the lab's server."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAMS = ("pg_dump", "pg_restore")


def unpack(container: str, directory: Path) -> Path:
    """Put them below ``directory``, with all that they load, and return where they are called."""
    wanted = [f"/usr/lib/postgresql/17/bin/{name}" for name in _PROGRAMS]
    libraries = r'ldd "$@" | sed -n "s/.*=> \(\/[^ ]*\).*/\1/p" | sort -u'
    script = f'{libraries} | tar -ch --files-from=- "$@" /lib64/ld-linux-x86-64.so.2'
    argv = ["docker", "exec", container, "sh", "-c", script, "sh", *wanted]
    packed = subprocess.run(argv, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "--transform=s|.*/||", f"--directory={directory}"], input=packed, check=True)
    (directory / "bin").mkdir()
    for name in _PROGRAMS:
        loader = f"{directory}/ld-linux-x86-64.so.2 --library-path {directory}"
        (directory / "bin" / name).write_text(f'#!/bin/sh\nexec {loader} {directory}/{name} "$@"\n')
        (directory / "bin" / name).chmod(0o755)
    return directory / "bin"
