"""How Borg is called: argument lists and environment, as pure functions of what is wanted."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit import openssh

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from drkit.config.model import VaultSsh

CONNECT_SECONDS = 15
ALIVE_SECONDS = 15
ALIVE_COUNT = 4
FILES_IN_ARGV = 400
"""Archives named in one call; well below what the kernel takes as arguments."""


def identity_of(url: str) -> str:
    """A short stable name of a repository's address; see ``Vault.identity``."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Repository:
    """Where a repository is and how Borg reaches it."""

    url: str
    ssh: VaultSsh
    remote_path: str | None
    compression: str
    lock_wait: float
    key_file: Path | None = None

    @property
    def location(self) -> str:
        """The address as an argument."""
        return escape(self.url)


def escape(text: str) -> str:
    """``text`` with braces doubled: Borg expands ``{now}`` and the like (``borg help placeholders``)."""
    return text.replace("{", "{{").replace("}", "}}")


def _common(repository: Repository) -> list[str]:
    common = ["--log-json", "--lock-wait", str(max(1, round(repository.lock_wait)))]
    if repository.remote_path is not None:
        common += ["--remote-path", repository.remote_path]
    return common


def create_repository(repository: Repository) -> list[str]:
    """``borg init``: the key in the repository, under the passphrase; BLAKE2b as the hash."""
    return ["init", *_common(repository), "--encryption", "repokey-blake2", "--make-parent-dirs", repository.location]


def set_additional_free_space(repository: Repository, size: int) -> list[str]:
    """``borg config``: room kept free, so that a full disk can still be pruned. Local repositories only."""
    return ["config", *_common(repository), repository.location, "additional_free_space", str(size)]


def list_archives(repository: Repository) -> list[str]:
    """``borg list``: what the index holds, which needs no archive to be opened."""
    return ["list", *_common(repository), "--json", repository.location]


def list_comments(repository: Repository, glob: str) -> list[str]:
    """``borg list`` with comments, which opens every archive that matches."""
    return [
        "list",
        *_common(repository),
        "--json",
        "--format",
        "{comment}",
        "--glob-archives",
        glob,
        repository.location,
    ]


def create_archive(
    repository: Repository, name: str, *, file_name: str, comment: str, command: Sequence[str]
) -> list[str]:
    """``borg create``: one archive with one file, the output of ``command``, kept only if that exits with 0."""
    return [
        "create",
        *_common(repository),
        "--json",
        "--compression",
        repository.compression,
        # There is one nameless stream and no file to recognise again.
        "--files-cache",
        "disabled",
        "--stdin-name",
        file_name,
        "--comment",
        escape(comment),
        "--content-from-command",
        _archive(repository, name),
        "--",
        *command,
    ]


def extract(repository: Repository, name: str) -> list[str]:
    """``borg extract``: the archive's content to stdout."""
    return ["extract", *_common(repository), "--stdout", _archive(repository, name)]


def delete(repository: Repository, names: Sequence[str]) -> list[str]:
    """``borg delete``: archives, in this order."""
    return ["delete", *_common(repository), _archive(repository, names[0]), *map(escape, names[1:])]


def compact(repository: Repository) -> list[str]:
    """``borg compact``: free the room of deleted archives."""
    return ["compact", *_common(repository), repository.location]


def check(repository: Repository) -> list[str]:
    """``borg check``: all segments read, all archives' metadata resolved."""
    return ["check", *_common(repository), "--info", repository.location]


def export_key(repository: Repository) -> list[str]:
    """``borg key export``: the key to stdout, under its passphrase still."""
    return ["key", "export", *_common(repository), repository.location]


def change_passphrase(repository: Repository) -> list[str]:
    """``borg key change-passphrase``: the same key under another one, which replaces the old in one rename."""
    return ["key", "change-passphrase", *_common(repository), repository.location]


def ask_for(line: Path) -> dict[str, str]:
    """Where Borg gets passphrases from when it needs two, the old and the new: the next line each time, from a pipe.

    It asks here before it looks at BORG_PASSPHRASE_FD, where it could ask once alone; BORG_NEW_PASSPHRASE would stand
    in the environment. The shell reads byte by byte, so the second line stays for the second call; where there is no
    line, Borg gets an error, and never takes nothing for a passphrase.
    """
    return {"BORG_PASSCOMMAND": shlex.join(["sh", "-c", 'IFS= read -r line <"$0" && printf %s "$line"', str(line)])}


def _archive(repository: Repository, name: str) -> str:
    return f"{repository.location}::{escape(name)}"


def environment(
    inherited: Mapping[str, str], shell: str, base: Path, passphrase_fd: int, key_file: Path | None = None
) -> dict[str, str]:
    """Borg's environment: what programs need of ours, and no secret; the passphrase comes through a descriptor.

    Borg's own files are kept apart from those of a Borg that the user runs by hand.
    """
    return {
        **inherited,
        **({} if key_file is None else {"BORG_KEY_FILE": str(key_file)}),
        "BORG_BASE_DIR": str(base),
        "BORG_EXIT_CODES": "modern",
        "BORG_PASSPHRASE_FD": str(passphrase_fd),
        "BORG_RSH": shell,
        # A rebuilt machine reaches the vault by another path; descriptors pin every archive's id, so nothing is lost.
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
        "BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "no",
        # `drkit check` runs Borg's self-test; before each of a dozen calls it would cost a second of every backup.
        "BORG_SELFTEST": "disabled",
    }


def remote_shell(ssh: VaultSsh) -> str:
    """The SSH command line: no questions, pinned host keys, and a cipher that the processor has instructions for."""
    options = [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        f"ConnectTimeout={CONNECT_SECONDS}",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        f"ServerAliveCountMax={ALIVE_COUNT}",
        # Borg has compressed and encrypted already; AES-GCM is the quickest of OpenSSH's defaults, the others remain.
        "Compression=no",
        "Ciphers=^aes128-gcm@openssh.com",
        *openssh.trust(ssh),
    ]
    argv = ["ssh"]
    for option in options:
        argv += ["-o", option]
    if ssh.jump is not None:
        argv += ["-J", ssh.jump]
    return shlex.join(argv)
