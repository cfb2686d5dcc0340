"""A node over SSH: OpenSSH itself, one connection for all that is done there."""

from __future__ import annotations

import atexit
import shlex
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import ssh_command, watched
from drkit.cluster.watched_node import WatchedNode
from drkit.config.model import VaultSsh
from drkit.errors import NodeUnreachable
from drkit.vault import hostkeys
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.config.model import Ssh

_LONGEST_SOCKET_PATH = 90
"""A Unix socket's path ends at 108 bytes, and ssh adds some while it makes one."""
_SHORT_DIRECTORY = Path("/tmp")  # noqa: S108 - only for a directory in it that its owner alone can enter
_READY_SECONDS = 2 * ssh_command.CONNECT_SECONDS
"""For the connection and all hosts on the way."""
_FORWARD_SECONDS = 15.0
_PORT_ATTEMPTS = 5


class SshNode(WatchedNode):
    """The host ``address``, called ``name`` by the cluster. It is connected to when first needed; ``close`` it."""

    def __init__(self, name: str, address: str, ssh: Ssh) -> None:
        super().__init__(name)
        self._address, self._ssh = address, ssh
        self._plain = ssh_command.connection(ssh, address)
        self._lock = threading.Lock()
        self._master: subprocess.Popen[bytes] | None = None
        self._said: process.TailReader | None = None
        self._socket: Path | None = None
        self._cleanup = ExitStack()

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            if self._master is not None:
                process.stop(self._master)
                self._master = None
            self._cleanup.close()
            self._socket = None

    @contextmanager
    def forward(self, host: str, port: int) -> Iterator[tuple[str, int]]:
        """See ``Node.forward``."""
        line = self._line()
        here, way = self._open_forward(line, host, port)
        try:
            yield "127.0.0.1", here
        finally:
            if self._socket is not None:  # else the way went with its connection
                argv = ssh_command.sharing(line, self._socket, "-O", "cancel", "-L", way)
                process.run(argv, deadline=_FORWARD_SECONDS, env=process.clean_environment())

    def _open_forward(self, line: Sequence[str], host: str, port: int) -> tuple[int, str]:
        """The port here that leads there, and what ssh calls the way."""
        said = ""
        for _ in range(_PORT_ATTEMPTS):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                here = int(probe.getsockname()[1])
            way = f"127.0.0.1:{here}:[{host}]:{port}"
            argv = ssh_command.sharing(line, self._where(), "-O", "forward", "-L", way)
            done = process.run(argv, deadline=_FORWARD_SECONDS, env=process.clean_environment())
            if done.status == 0:
                return here, way
            said = done.stderr  # mostly: somebody else took the port meanwhile
        raise NodeUnreachable(
            f"{self._title}: no way to {host}:{port} through it\n{process.tail(said)}",
            "allow TCP forwarding there (sshd_config: AllowTcpForwarding local)",
        )

    def _start(self, argv: Sequence[str], size: int, deadline: float | None) -> watched.Running:
        line = self._line()
        # The login shell splits this into words again; "exec" lets nothing stand between it and the program.
        remote = "exec " + shlex.join(watched.command(argv, size=size, deadline=deadline))
        child = process.spawn(
            [*ssh_command.sharing(line, self._where()), remote],
            env=process.clean_environment(),
            stdin=subprocess.PIPE,
        )
        return watched.Running(child, f"{self.name}: {argv[0]}", self._lost)

    def _where(self) -> Path:
        assert self._socket is not None  # noqa: S101 - made by _line()
        return self._socket

    def _line(self) -> list[str]:
        """The command line that reaches the node; connects where there is no connection, or none any more.

        Raises:
            NodeUnreachable: there can be none.
        """
        with self._lock:
            if self._master is None or self._master.poll() is not None:
                self._connect()
        return self._plain

    def _connect(self) -> None:
        if self._master is not None:
            process.stop(self._master)
            self._master = None
        if self._socket is None:
            self._socket = self._make_directory() / "ssh"
            atexit.register(self.close)
        self._socket.unlink(missing_ok=True)
        argv = ssh_command.sharing(self._plain, self._socket, "-M", "-N", "-o", "ExitOnForwardFailure=yes")
        master = process.spawn(argv, env=process.clean_environment(), stdout=subprocess.DEVNULL)
        assert master.stderr is not None  # noqa: S101 - spawn's default is a pipe
        said = process.TailReader(master.stderr)
        until = time.monotonic() + _READY_SECONDS
        while not self._socket.exists():
            if master.poll() is not None or time.monotonic() > until:
                timed_out = "" if master.poll() is not None else "timed out"
                process.stop(master)
                raise self._unreachable(f"{said.text()}\n{timed_out}")
            time.sleep(0.005)  # ssh says nowhere when it is ready, other than by making its socket
        self._master, self._said = master, said

    def _make_directory(self) -> Path:
        directory = self._cleanup.enter_context(workspace(Path(gettempdir())))
        if len(str(directory / "ssh")) > _LONGEST_SOCKET_PATH:
            directory = self._cleanup.enter_context(workspace(_SHORT_DIRECTORY))
        return directory

    @property
    def _title(self) -> str:
        user = f"{self._ssh.user}@" if self._ssh.user else ""
        port = f":{self._ssh.port}" if self._ssh.port else ""
        return f"node {self.name} ({user}{self._address}{port})"

    def _lost(self, said: str) -> NodeUnreachable:
        if self._master is not None and self._master.poll() is not None and self._said is not None:
            said += self._said.text()
        return NodeUnreachable(
            f"{self._title}: the connection broke, or no program could be run\n{process.tail(said)}",
            "see that the node is up, and that its user can log in and has a POSIX shell",
        )

    def _unreachable(self, said: str) -> NodeUnreachable:
        """The error for a connection that did not come about."""
        kind = ssh_command.meaning(said)
        if kind in {ssh_command.UNKNOWN_KEY, ssh_command.CHANGED_KEY}:
            return self._wrong_host_key(kind)
        if kind == ssh_command.REFUSED:
            what = "refuses the key"
            hint = "put the key's public half into the user's authorized_keys there, or change cluster.ssh (user, key)"
        elif kind == ssh_command.SILENT:
            what = "does not answer"
            hint = "see that it is up, and that address, cluster.ssh.port, network and firewall are right"
        else:
            what, hint = "cannot be logged in to", "try it by hand with ssh; cluster.ssh says how drkit does"
        return NodeUnreachable(f"{self._title} {what}\n{process.tail(said)}", hint)

    def _wrong_host_key(self, kind: str) -> NodeUnreachable:
        url = f"ssh://{self._address}:{self._ssh.port or 22}"
        lines = [f"{self._title}: its host key {'has changed' if kind == ssh_command.CHANGED_KEY else 'is unknown'}"]
        lines += [f"  offered now: {key.fingerprint} ({key.kind})" for key in hostkeys.offered(url)]
        pinned = hostkeys.pinned(url, VaultSsh(known_hosts=self._ssh.known_hosts))
        lines += [f"  known_hosts: {key.fingerprint} ({key.kind})" for key in pinned]
        file = self._ssh.known_hosts or "~/.ssh/known_hosts"
        hint = f"compare the fingerprint with the one on the node's own console; if it is right, put it into {file}"
        attack = "; a changed key can be an attack" if kind == ssh_command.CHANGED_KEY else ""
        return NodeUnreachable("\n".join(lines), hint + attack)
