"""Whether each vault is reached and opened, has room, and what is there beside the repository."""

from __future__ import annotations

import configparser
import shlex
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit import process
from drkit.checks import clocks
from drkit.checks.result import Look, Seen
from drkit.config import secrets
from drkit.errors import NoRepository, VaultUnreachable
from drkit.points import names
from drkit.vault import borg_command
from drkit.vault.borg import BorgVault
from drkit.vault.configured import repository

if TYPE_CHECKING:
    from drkit.config.model import Config, VaultConfig

_SECONDS = 300.0
"""Borg may first have to rebuild its cache of the index."""
_ASK_SECONDS = 20.0
_LEAST_FREE = 0.05
_GIB = 1024**3
_DF_FIELDS = 6
_VERSION_WORDS = 2
_SSH_FAILED = 255
"""ssh's own exit status (ssh, "EXIT STATUS")."""
_OLDEST, _NEWEST = (1, 2), (1, 4)


@dataclass(frozen=True)
class Room:
    """How much of a disk is free, in bytes."""

    free: int
    total: int

    @property
    def scarce(self) -> bool:
        """Whether little is left."""
        return self.free < self.total * _LEAST_FREE

    def __str__(self) -> str:
        return f"{self.free / _GIB:.1f} of {self.total / _GIB:.1f} GiB free"


def looks(config: Config) -> list[Look]:
    """One for each vault: what backups need."""
    found = []
    for key, vault in config.vaults.items():
        name = str(key)
        code = VaultUnreachable.exit_code
        found.append(Look(f"vault {name}", partial(_open, config, name, vault), _SECONDS, late_code=code))
        if vault.ssh.prune_key is not None:
            pruning = partial(_open, config, name, vault, pruning=True)
            found.append(Look(f"vault {name}, under the key that prunes", pruning, _SECONDS, late_code=code))
    return found


def places(config: Config) -> list[Look]:
    """What else there is to know of each vault's place; none of it keeps a backup from working."""
    return [Look(f"place of vault {name}", partial(_place, vault), warns=True) for name, vault in config.vaults.items()]


def _open(config: Config, name: str, vault: VaultConfig, *, pruning: bool = False) -> str:
    opened = BorgVault(
        name, repository(vault, pruning=pruning), secrets.fetch(vault.passphrase, f"vaults.{name}.passphrase")
    )
    try:
        archives = opened.archives()
    except NoRepository:
        return f"{vault.url}: reachable; no repository yet, the first backup makes it"
    cluster = names.slug(config.cluster.name)
    points = {
        parts.point
        for archive in archives
        if (parts := names.parse(archive.name)) and parts.cluster == cluster and parts.part == names.DESCRIPTOR
    }
    return f"{vault.url}: opened with the passphrase; {len(points)} recovery points"


def _place(vault: VaultConfig) -> Seen:
    return _remote(vault) if vault.is_remote else _local(Path(vault.url))


def _local(path: Path) -> Seen:
    there = next(each for each in (path, *path.parents) if each.exists())
    usage = shutil.disk_usage(there)
    room = Room(usage.free, usage.total)
    said = [str(room)]
    config = configparser.ConfigParser(interpolation=None)
    try:
        appends = config.read(path / "config") and config.get("repository", "append_only", fallback="0") == "1"
    except (configparser.Error, UnicodeDecodeError):
        appends = False
    said.append("append-only" if appends else "not append-only: who has this machine can delete it")
    return _judged(said, room, None)


def _remote(vault: VaultConfig) -> Seen:
    """What the far side answers to programs; a key that may run ``borg serve`` alone hears only Borg's version."""
    said = [_version(vault)]
    free = _run(vault, ["df", "-Pk", "."])
    room = room_of(free.stdout.decode(errors="replace")) if free.status == 0 else None
    if room is None:
        said.append("its free space, append-only and clock are not told to this key, which may run Borg alone there")
        return Seen("; ".join(said))
    said += [str(room), "the key may run other programs than Borg, so it is not held to append-only"]
    before = time.time()
    date = _run(vault, ["date", "+%s.%N"])
    skew = clocks.skew(before, date.stdout.decode(errors="replace"), time.time()) if date.status == 0 else None
    return _judged(said, room, skew)


def _judged(said: list[str], room: Room, skew: clocks.Skew | None) -> Seen:
    said += [str(skew)] if skew else []
    hints = ["make room: drkit prune, or a larger disk"] if room.scarce else []
    hints += [clocks.HINT] if skew is not None and skew.bad else []
    return Seen("; ".join(said), warning=bool(hints), hint="; ".join(hints))


def _version(vault: VaultConfig) -> str:
    """Borg's there. A key with a forced ``borg serve`` says it too: that reads what was asked for."""
    program = vault.remote_path or "borg"
    done = _run(vault, [program, "--version"])
    if done.status == _SSH_FAILED:
        raise VaultUnreachable(f"{vault.url}: not reached\n{process.tail(done.stderr)}", "see the check of the vault")
    words = done.stdout.decode(errors="replace").split()
    if done.status != 0 or len(words) != _VERSION_WORDS or not words[1][0].isdigit():
        raise VaultUnreachable(
            f"{vault.url}: {program} there does not say its version: {process.tail(done.stderr)}",
            "name Borg's program there: remote_path (on a Storage Box: borg-1.4)",
        )
    version = tuple(int(part) for part in words[1].split(".")[:2] if part.isdigit())
    if not _OLDEST <= version <= _NEWEST:
        raise VaultUnreachable(
            f"{vault.url}: Borg {words[1]} there; expected 1.2 or 1.4", "name another: remote_path (such as borg-1.4)"
        )
    return f"Borg {words[1]} there"


def _run(vault: VaultConfig, argv: list[str]) -> process.Completed:
    parts = urlsplit(vault.url)
    target = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
    port = ["-p", str(parts.port)] if parts.port else []
    line = [*shlex.split(borg_command.remote_shell(vault.ssh)), *port, target, shlex.join(argv)]
    try:
        return process.run(line, deadline=_ASK_SECONDS, env=process.clean_environment())
    except process.DeadlineExceeded as error:
        raise VaultUnreachable(f"{vault.url}: {error}") from None


def room_of(printed: str) -> Room | None:
    """What ``df -Pk`` says; None where it is something else. Pure."""
    lines = printed.splitlines()
    fields = lines[-1].split() if len(lines) > 1 else []
    numbers = [field for field in fields[1:4] if field.isdigit()]
    if len(fields) < _DF_FIELDS or len(numbers) != 3:  # noqa: PLR2004 - total, used, free
        return None
    return Room(int(numbers[2]) * 1024, int(numbers[0]) * 1024)
