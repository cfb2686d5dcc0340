"""``tools/engine``, run by somebody who is not root: it changes nothing then, and says what is the matter."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = Path(__file__).parents[2] / "tools/engine"
NOBODY = 65534


def run(directory: Path, socket_name: str) -> subprocess.CompletedProcess[str]:
    """Run it with the engine at this socket, without root's rights: a copy, for a checkout may be closed to others."""
    copy = directory / "tools/engine"
    copy.parent.mkdir(mode=0o755)
    shutil.copyfile(ENGINE, copy)
    copy.chmod(0o755)
    drop = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, str(copy)],
        env={**os.environ, "DOCKER_HOST": f"unix://{directory / socket_name}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="drkit-engine-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def listening(path: Path, answer: bytes) -> Iterator[None]:
    """A socket on which one question is answered."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        threading.Thread(target=once, daemon=True).start()
        yield


def test_an_engine_that_answers_is_enough(directory: Path) -> None:
    """Where the engine answers there is nothing to do and nothing to say."""
    path = directory / "engine.sock"
    with listening(path, b"HTTP/1.0 200 OK\r\n\r\nOK"):
        path.chmod(0o666)
        ran = run(directory, path.name)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_an_engine_of_others_is_not_called_absent(directory: Path) -> None:
    """Where the socket is closed to the user, the user is told to join the group, and not to start another engine."""
    path = directory / "engine.sock"
    with listening(path, b""):
        path.chmod(0)
        ran = run(directory, path.name)
    assert ran.returncode == 1
    assert f"{path} is not open to" in ran.stderr
    assert "usermod -aG docker" in ran.stderr


def test_an_engine_that_is_not_there_is_not_started_by_anybody(directory: Path) -> None:
    """Who is not root is told who can start one, or install one."""
    ran = run(directory, "none.sock")
    assert ran.returncode == 1
    assert "sudo tools/engine" in ran.stderr or "install it" in ran.stderr
