"""The components as child processes: when one ends, k3s ends, and systemd starts all of it again.

The pods' containers are no children of k3s and live on, as with the real one.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import log, paths
from .problem import Fatal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_GRACE = 1.5
"""Seconds for components to end by themselves: etcd takes less than one, the API server would wait for its watchers."""


class Children:
    """Components that were started; the kernel ends them if this program dies without doing so."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ending = threading.Event()

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start the component ``name``. Only the main thread may: the thread that forks is the parent."""
        self.start_program(name, [paths.program(name), *arguments], environment)

    def start_program(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start any program under ``name``, likewise."""
        log.info(f"Running {name}")
        self._running[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *argv],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def check(self) -> None:
        """Notice a component that has ended.

        Raises:
            Fatal: one has.
        """
        for name, child in self._running.items():
            status = child.poll()
            if status is not None and not self._ending.is_set():
                raise Fatal(f"{name} exited: status {status}")

    def stop_all(self) -> None:
        """End all components at once, and after them the first, which the others work on: etcd, kine or containerd.

        The real k3s ends them all without a word: what takes longer than a moment is not waited for.
        """
        self._ending.set()
        components = list(self._running.values())
        for group in (components[1:], components[:1]):
            for child in group:
                if child.poll() is None:
                    child.terminate()
            until = time.monotonic() + _GRACE
            for child in group:
                _reap(child, until)


def _reap(child: subprocess.Popen[bytes], until: float) -> None:
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def wait_for(what: str, ready: Callable[[], bool], children: Children, seconds: float = 600.0) -> None:
    """Wait until ``ready``, as long as all components run.

    Raises:
        Fatal: a component ended, or it took longer than ``seconds``.
    """
    until = time.monotonic() + seconds
    said = time.monotonic() + 10.0
    while not ready():
        children.check()
        if time.monotonic() > until:
            raise Fatal(f"timed out waiting for {what}")
        if time.monotonic() > said:
            log.info(f"Waiting for {what}")
            said += 10.0
        time.sleep(0.2)


def notify(state: str) -> None:
    """Tell systemd, where it started this program with ``Type=notify`` (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())


def end_on_signals() -> None:
    """Turn SIGTERM into an exception, so that the components are ended in order."""

    def ended(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ended)


def run(argv: Sequence[str], stdin: str | None = None, seconds: float = 120.0) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        Fatal: it failed, or took longer than ``seconds``; with its last words.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise Fatal(f"{Path(argv[0]).name} did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Fatal(f"{Path(argv[0]).name} failed: {' '.join(words[-3:])}")
    return done.stdout
