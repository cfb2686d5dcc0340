"""One SSH connection for all of a run's calls: Borg connects anew for each, and a handshake costs half a second."""

from __future__ import annotations

import atexit
import itertools
import shlex
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drkit import process
from drkit.vault import borg_command
from drkit.vault import hold as hold_program
from drkit.vault.creation import Hold
from drkit.workspace import workspace

if TYPE_CHECKING:
    from drkit.config.model import VaultSsh

_SSH_FAILED = 255
"""ssh's own exit status, as opposed to that of what it ran (ssh, "EXIT STATUS")."""
_SOCKET = "ssh"
_LONGEST_SOCKET_PATH = 90
"""A Unix socket's path ends at 108 bytes, and ssh adds some while it makes one."""


class Multiplexer:
    """Keeps a connection open that ssh shares (ssh_config, ControlMaster). Without it everything works, more slowly."""

    def __init__(self, url: str, ssh: VaultSsh) -> None:
        parts = urlsplit(url)
        target = f"{parts.username}@{parts.hostname}" if parts.username else str(parts.hostname)
        self._target = [*(["-p", str(parts.port)] if parts.port else []), target]
        self._plain = borg_command.remote_shell(ssh)
        self._lock = threading.Lock()
        self._directory_lock = threading.Lock()
        self._master: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._cleanup = ExitStack()
        self._directory: Path | None = None
        self._holds = itertools.count(1)

    def shell(self) -> str:
        """The SSH command line to use now; the first call makes the connection that the others share."""
        with self._lock:
            if self._master is None:
                self._start()
            if self._master is None or self._master.poll() is not None or self._socket is None:
                return self._plain
            return self._sharing(self._socket)

    def held(self) -> tuple[str, Hold]:
        """An SSH command line that waits for two words, and what gives them; the connection need not be there yet.

        Where it comes to nothing, ssh makes one of its own (ssh_config, ControlPath), and says what is wrong.
        """
        with self._directory_lock:
            directory = self._workspace()
            hold = Hold(directory, next(self._holds))
        holding = shlex.join([sys.executable, "-I", "-S", hold_program.__file__, str(hold.path)])
        return f"{holding} {self._sharing(directory / _SOCKET)}", hold

    def complaint(self) -> str:
        """What ssh says of a connection of its own, and nothing where it can be made.

        Borg may end before it has read why ssh did.
        """
        argv = [*shlex.split(self._plain), *self._target, "true"]
        try:
            done = process.run(argv, deadline=2 * borg_command.CONNECT_SECONDS, env=process.clean_environment())
        except process.DeadlineExceeded:
            return ""
        return done.stderr if done.status == _SSH_FAILED else ""

    def begin(self) -> None:
        """Start connecting, in the background."""
        threading.Thread(target=self._connect, name="connect", daemon=True).start()

    def _connect(self) -> None:
        with suppress(RuntimeError, KeyboardInterrupt):  # drkit ends already, and starts nothing any more
            self.shell()

    def _start(self) -> None:
        with self._directory_lock:
            socket = self._workspace() / _SOCKET
        argv = [*shlex.split(self._plain), "-M", "-N", "-S", str(socket), *self._target]
        # Its complaints are those of the plain connection that is tried next, which reports them.
        self._master = process.spawn(
            argv, env=process.clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + borg_command.CONNECT_SECONDS
        while not socket.exists() and self._master.poll() is None and time.monotonic() < until:
            time.sleep(0.005)  # ssh says nowhere when it is ready, other than by making its socket
        if socket.exists() and len(str(socket)) < _LONGEST_SOCKET_PATH:
            self._socket = socket

    def _sharing(self, socket: Path) -> str:
        return f"{self._plain} -o {shlex.quote(f'ControlPath={socket}')}"

    def _workspace(self) -> Path:
        if self._directory is None:
            self._directory = self._cleanup.enter_context(workspace(Path(gettempdir())))
            atexit.register(self.close)
        return self._directory

    def close(self) -> None:
        """End the connection, or the attempt to make one."""
        if self._master is not None:
            process.stop(self._master)
        self._cleanup.close()
