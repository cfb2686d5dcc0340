"""Other programs: started so that they cannot outlive drkit, ended by a deadline, their last words kept.

Linux ends a child whose parent died only where it was asked to (``prctl(2)``, PR_SET_PDEATHSIG); ``setpriv`` of
util-linux asks for it between fork and exec, which Python cannot do safely in a program with threads.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from drkit.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

TAIL_LINES = 12
"""How many of a program's last lines an error shows."""

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "BORG_HOST_ID")
"""``BORG_HOST_ID``: pods have a new name each time, and Borg clears the lock of a dead one of the same host alone."""

_children: set[subprocess.Popen[bytes]] = set()
_register = threading.Lock()
_ending = threading.Event()
_interrupted = threading.Event()
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class DeadlineExceeded(Exception):
    """A program did not end in time and was killed."""


@dataclass(frozen=True)
class Completed:
    """How a program ended: its status, what it printed, and its last words on stderr."""

    status: int
    stdout: bytes
    stderr: str


def clean_environment() -> dict[str, str]:
    """What other programs need of drkit's environment; secrets that came in through it are not passed on."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def tail(text: str) -> str:
    """The last lines of ``text``, without secrets, for an error message."""
    lines = [line for line in text.splitlines() if line.strip()]
    return mask("\n".join(lines[-TAIL_LINES:]))


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    pass_fds: Iterable[int] = (),
    user: str | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` as a child that the kernel kills if drkit dies.

    One thread starts all children: the kernel counts the thread that forked as the parent, and would end them with it.

    Args:
        argv: the program and its arguments; never a secret.
        env: its whole environment; drkit's own when left out.
        stdin: as for ``subprocess.Popen``; likewise ``stdout``, ``stderr``, ``pass_fds``, ``cwd``.
        stdout: see ``stdin``.
        stderr: see ``stdin``.
        pass_fds: see ``stdin``.
        user: an unprivileged user to run it as; needs root.
        cwd: see ``stdin``.

    Raises:
        FileNotFoundError: there is no such program.
        KeyboardInterrupt: drkit is being ended and starts nothing new.
    """
    if shutil.which(argv[0], path=(env or os.environ).get("PATH")) is None:
        raise FileNotFoundError(f"there is no program {argv[0]}")
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if user is not None:
        prefix += ["--reuid", user, "--regid", _group_of(user), "--clear-groups"]

    def start() -> subprocess.Popen[bytes]:
        with _register:
            if _ending.is_set():
                raise KeyboardInterrupt
            child = subprocess.Popen(
                [*prefix, "--", *argv],
                env=None if env is None else dict(env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=tuple(pass_fds),
                cwd=cwd,
                # A group of its own: Ctrl-C reaches drkit alone, which then ends its children in the right order.
                process_group=0,
            )
            _children.add(child)
            return child

    return _spawner.submit(start).result()


def _group_of(user: str) -> str:
    import grp  # noqa: PLC0415 - rarely needed, and only on a machine where drkit is root
    import pwd  # noqa: PLC0415 - see above

    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


def forget(child: subprocess.Popen[bytes]) -> None:
    """Take a child that was waited for off the list of those to end."""
    with _register:
        _children.discard(child)


def stop(child: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """End ``child``: politely, so that it can release its locks, and after ``patience`` seconds by force."""
    if child.poll() is None:
        # Its whole group, which holds what it started in turn: ssh, the gate.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    forget(child)


def stop_all() -> None:
    """End every child and let no new one start; for the way out after a signal."""
    _ending.set()
    with _register:
        children = list(_children)
    for child in children:
        with suppress(ProcessLookupError):
            child.terminate()
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(5.0)
        if child.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


def ending() -> bool:
    """Whether drkit is being ended: what its programs say now is of no interest."""
    return _ending.is_set()


def note_interrupt() -> None:
    """Remember that a signal came: the exception that it raises is lost where it meets a finalizer."""
    _interrupted.set()


def see_interrupt() -> None:
    """For loops that wait long: end them after a signal, once.

    Raises:
        KeyboardInterrupt: one came.
    """
    if _interrupted.is_set():
        _interrupted.clear()
        raise KeyboardInterrupt


def forget_interrupt() -> None:
    """The signal was seen; what follows undoes what it interrupted."""
    _interrupted.clear()


def pause(seconds: float) -> None:
    """Wait, or not so long where drkit is being ended.

    Raises:
        KeyboardInterrupt: it is.
    """
    if _ending.wait(seconds):
        raise KeyboardInterrupt


def start_again() -> None:
    """Let children be started again after ``stop_all``: what was interrupted is now undone."""
    _ending.clear()


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    pass_fds: Iterable[int] = (),
    user: str | None = None,
) -> Completed:
    """Run ``argv`` to its end and return how it ended, whatever its status.

    Args:
        argv: the program and its arguments; never a secret.
        deadline: seconds after which it is killed.
        env: as for ``spawn``; likewise ``pass_fds`` and ``user``.
        stdin: what to feed it.
        pass_fds: see ``env``.
        user: see ``env``.

    Raises:
        DeadlineExceeded: it did not end in time.
        FileNotFoundError: there is no such program.
    """
    feed = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    child = spawn(argv, env=env, stdin=feed, pass_fds=pass_fds, user=user)
    try:
        stdout, stderr = child.communicate(stdin, timeout=deadline)
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(f"{argv[0]} did not end within {deadline:.0f} s and was stopped") from None
    finally:
        stop(child)
    return Completed(child.returncode, stdout, stderr.decode(errors="replace"))


class TailReader:
    """Reads a child's stderr to its end in a thread, keeping the last lines, so that the child never blocks on it."""

    def __init__(self, stream: IO[bytes], on_line: Callable[[str], None] | None = None, keep: int = 200) -> None:
        self._lines: deque[str] = deque(maxlen=keep)
        # A descriptor of its own: closing the stream while a thread reads from it would wait for that thread.
        self._stream = os.fdopen(os.dup(stream.fileno()), "rb")
        self._on_line = on_line
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for raw in self._stream:
                line = raw.decode(errors="replace").rstrip("\n")
                self._lines.append(line)
                if self._on_line is not None:
                    self._on_line(line)

    def text(self, wait: float = 2.0) -> str:
        """What has been read, after waiting up to ``wait`` seconds for the end of the stream."""
        self._thread.join(wait)
        return "\n".join(self._lines)
