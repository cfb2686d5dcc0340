"""A stand-in for a Storage Box: a real sshd on loopback that lets in one key, for ``borg serve`` on one path alone."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drkit import process
from drkit.errors import DrkitError, PreflightFailed
from drkit.lab.ports import free_port
from drkit.vault.borg import find_borg

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

BANNER = "drkit lab: a stand-in for a Storage Box"
_START_SECONDS = 15.0
_PAM = Path("/etc/pam.d/sshd")
_SSHD = "/usr/sbin/sshd"
_PRIVILEGE_SEPARATION = Path("/run/sshd")
"""sshd of root does not start without it; a machine where it never ran as a service lacks it."""


@dataclass
class LabBox:
    """A running box: where its sshd listens, its files, and the client's key and known_hosts."""

    port: int
    directory: Path
    _sshd: subprocess.Popen[bytes] | None = None

    @property
    def storage(self) -> Path:
        """Where the repositories are."""
        return self.directory / "storage"

    @property
    def key(self) -> Path:
        """The client's private key."""
        return self.directory / "client_key"

    @property
    def full_key(self) -> Path:
        """Where ``key`` only appends: a private key with full access."""
        return self.directory / "full_key"

    @property
    def known_hosts(self) -> Path:
        """The host's key, pinned."""
        return self.directory / "known_hosts"

    def url(self, repository: str, port: int | None = None) -> str:
        """The address of a repository; ``port`` for a way through a proxy."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        return f"ssh://{user}@127.0.0.1:{port or self.port}{self.storage}/{repository}"

    def new_host_key(self) -> None:
        """Give the host another key, as a machine in the middle would have; known_hosts keeps the old one."""
        for file in self.directory.glob("host_key*"):
            file.unlink()
        _generate(self.directory / "host_key")
        self.restart()

    def stop(self) -> None:
        """Make the box unreachable."""
        if self._sshd is not None:
            process.stop(self._sshd)
            self._sshd = None

    def restart(self) -> None:
        """Start sshd, again or for the first time."""
        self.stop()
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("ab") as log:
            self._sshd = process.spawn(
                [_SSHD, "-D", "-e", "-f", str(self.directory / "sshd_config")],
                env=process.clean_environment(),
                stdout=log,
                stderr=log,
            )
        _wait(self.port, self._sshd, self.directory / "sshd.log")


@contextmanager
def box(directory: Path, *, quota: str = "", append_only: bool = False) -> Iterator[LabBox]:
    """A box with its files in ``directory``, for the time of the body.

    Args:
        directory: an existing directory; the caller removes it.
        quota: the most that a repository may take, as ``borg serve --storage-quota`` reads it; unlimited when empty.
        append_only: whether the key is one that only appends; there is another one then, with full access.
    """
    if not Path(_SSHD).exists():
        raise PreflightFailed("sshd is not here", "install it (Debian: openssh-server), or run: make setup")
    made = LabBox(free_port(), directory / "box")
    made.storage.mkdir(parents=True)
    _generate(made.directory / "host_key")
    _generate(made.key)
    serve = [find_borg(), "serve", "--restrict-to-path", str(made.storage)]
    serve += ["--storage-quota", quota] if quota else []
    allowed = [(made.key, [*serve, "--append-only"] if append_only else serve)]
    if append_only:
        _generate(made.full_key)
        allowed += [(made.full_key, serve)]
    lines = [
        f'restrict,command="{shlex.join(command)}" {key.with_suffix(".pub").read_text().strip()}\n'
        for key, command in allowed
    ]
    (made.directory / "authorized_keys").write_text("".join(lines))
    host = (made.directory / "host_key.pub").read_text().split()
    made.known_hosts.write_text(f"[127.0.0.1]:{made.port} {host[0]} {host[1]}\n")
    (made.directory / "sshd_config").write_text(_configuration(made))
    try:
        made.restart()
        yield made
    finally:
        made.stop()


def _configuration(made: LabBox) -> str:
    return "\n".join(
        [
            f"# {BANNER}",
            f"Port {made.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {made.directory / 'host_key'}",
            f"AuthorizedKeysFile {made.directory / 'authorized_keys'}",
            f"PidFile {made.directory / 'sshd.pid'}",
            "PubkeyAuthentication yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            # Without PAM, sshd takes an account without a password ("!" in shadow) for one that is locked.
            f"UsePAM {'yes' if os.geteuid() == 0 and _PAM.exists() else 'no'}",
            # The directory may lie below one that others can write to, such as /tmp.
            "StrictModes no",
            "PrintMotd no",
            # A storage box has no start files; those of the user who runs the lab can take as long as Borg.
            f"SetEnv HOME={made.directory}",
            "MaxStartups 50",
            "",
        ]
    )


def _generate(key: Path) -> None:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "drkit-lab", "-f", str(key)]
    done = process.run(argv, deadline=30, env=process.clean_environment())
    if done.status != 0:
        raise DrkitError(f"ssh-keygen failed\n{process.tail(done.stderr)}")


def _wait(port: int, sshd: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            if sshd.poll() is not None or time.monotonic() > until:
                raise DrkitError(f"the lab's sshd did not start\n{process.tail(log.read_text())}") from None
        time.sleep(0.02)  # sshd says nowhere when it is ready, other than by answering
