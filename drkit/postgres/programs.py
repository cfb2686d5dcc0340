"""PostgreSQL's own programs: found by version, the closest that fits."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


def client(program: str, server_major: int, extra: Iterable[Path] = ()) -> str:
    """The path of ``program`` in the lowest major version that is at least the server's.

    pg_dump refuses servers newer than itself (pg_dump, "Notes"), and an old one would write an older dump.

    Raises:
        PreflightFailed: there is none; names the versions that are there and what to install.
    """
    found = {version: path for version, path in _installed(program, tuple(extra)) if version >= server_major}
    if not found:
        there = ", ".join(str(version) for version, _ in _installed(program, tuple(extra))) or "none"
        raise PreflightFailed(
            f"{program} of PostgreSQL {server_major} or newer is missing (found: {there})",
            f"install it (Debian: postgresql-client-{server_major}) or name its directory in postgresql.bin_dirs",
        )
    return found[min(found)]


def server(major: int, extra: Iterable[Path] = ()) -> Path | None:
    """The directory with the server's own programs of exactly this major version, if it is here."""
    for version, path in _installed("initdb", tuple(extra)):
        directory = Path(path).parent
        if version == major and (directory / "postgres").exists():
            return directory
    return None


def servers(extra: Iterable[Path] = ()) -> list[int]:
    """The major versions whose server's programs are here."""
    there = tuple(extra)
    return sorted({major for major, _ in _installed("initdb", there) if server(major, there) is not None})


@functools.cache
def _installed(program: str, extra: tuple[Path, ...]) -> Sequence[tuple[int, str]]:
    """Each copy of ``program`` and its major version, in order of preference within a version."""
    candidates = [directory / program for directory in extra]
    for pattern in _PLACES:
        candidates += sorted(Path("/").glob(f"{pattern.lstrip('/')}/{program}"))
    candidates += [Path(part) / program for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    found: dict[int, str] = {}
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            version = _major(path)
            if version is not None:
                found.setdefault(version, str(path))
    return sorted(found.items())


def _major(path: Path) -> int | None:
    directory = re.fullmatch(r"/usr/lib/postgresql/(\d+)/bin/[^/]+", str(path))
    if directory:  # Debian's layout says it; asking every program would cost a tenth of a second
        return int(directory[1])
    if path.resolve().name == "pg_wrapper":  # Debian's way to these same programs
        return None
    try:
        done = process.run([str(path), "--version"], deadline=10, env=process.clean_environment())
    except (OSError, process.DeadlineExceeded):
        return None
    match = _VERSION.search(done.stdout.decode(errors="replace"))
    return int(match[1]) if match else None
