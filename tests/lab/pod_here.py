"""A pod whose programs run on this machine, beside the tests' PostgreSQL: real programs, no cluster."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.errors import SourceFailed
from tests.lab.processes import alive, command_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.lab.postgres import LabPostgres

SOCKETS = "/controller/run"


class PodHere:
    """The part of ``Kube`` that restoring in a pod needs.

    Args:
        postgres: the server.
        directory: with its socket, and where programs may write; stands for the pod's own.
    """

    def __init__(self, postgres: LabPostgres, directory: Path) -> None:
        self._postgres, self._directory = postgres, directory
        self.cut_after: int | None = None
        """Bytes after which the next program that is fed as many loses its connection."""
        self.cuts = 0
        """How many have lost it."""
        self._sessions: list[int] = []

    @contextmanager
    def execute(
        self,
        namespace: str,  # noqa: ARG002 - there is one pod
        pod: str,  # noqa: ARG002 - see namespace
        container: str,  # noqa: ARG002 - see namespace
        argv: Sequence[str],
        *,
        stdin: bool = False,  # noqa: ARG002 - it is a pipe in any case
    ) -> Iterator[ProgramHere]:
        """Start a program as a container runtime does: the leader of a session, in an environment of its own."""
        here = [word.replace(SOCKETS, str(self._directory)) for word in argv]
        env = {
            "PATH": f"{self._postgres.bin_dir}:{os.environ['PATH']}",
            "PGPORT": str(self._postgres.port),
            "PGPASSWORD": self._postgres.password,
            "PGDATA": str(self._directory),
        }
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                here, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
            self._sessions.append(child.pid)
            running = ProgramHere(self, child, errors)
            try:
                yield running
            finally:
                running.cut()
                child.wait()

    def left_over(self) -> list[str]:
        """What programs have left: processes of their sessions, and files."""
        files = [file.name for file in self._directory.glob("drkit.*")]
        running = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
        ours = [pid for pid in running if _session(pid) in self._sessions and alive(pid)]
        return files + [" ".join(command_line(pid)) for pid in ours]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


class ProgramHere:
    """A running program: an ``Execution``."""

    def __init__(self, pod: PodHere, child: subprocess.Popen[bytes], errors: Any) -> None:
        self._pod, self._child, self._errors = pod, child, errors
        self._written = 0
        self._lost = False

    def fileno(self) -> int:
        """What it prints."""
        assert self._child.stdout is not None
        return self._child.stdout.fileno()

    def write(self, data: bytes) -> None:
        """Feed its input."""
        self._written += len(data)
        if self._pod.cut_after is not None and self._written > self._pod.cut_after:
            self._pod.cut_after = None
            self._pod.cuts += 1
            self._lost = True
            self.cut()
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(data)
            self._child.stdin.flush()
        except (OSError, ValueError):
            raise SourceFailed("the connection was cut") from None

    def end_input(self) -> None:
        """Say that there is no more input."""
        self.cut()

    def cut(self) -> None:
        """All that a container sees of a cut connection is the end of its input."""
        assert self._child.stdin is not None
        with suppress(OSError):
            self._child.stdin.close()

    def finish(self) -> None:
        """See that it ended well; who has lost the connection never hears of that."""
        if self._lost:
            raise SourceFailed("the connection was cut", passes=True)
        if self._child.wait() != 0:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")
            raise SourceFailed(f"it ended with status {self._child.returncode}\n{said}")
