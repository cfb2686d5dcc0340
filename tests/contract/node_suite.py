"""What every node does, this machine and one over SSH: the suite of the port ``Node``."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drkit.errors import SourceFailed, VerificationFailed
from drkit.lab import box as boxes
from drkit.process import DeadlineExceeded
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.cluster.node import Node, Output
    from drkit.lab.box import LabBox

MARK = "31415"
"""Seconds that no other program sleeps: programs of these tests are found by it."""


def shell(node: Node, script: str, *arguments: str) -> str:
    """What a shell script on the node prints."""
    done = node.run(["sh", "-c", script, "sh", *arguments], deadline=30)
    assert done.status == 0, done.stderr
    return done.stdout.decode(errors="replace")


def sleeping(node: Node, mark: str) -> bool:
    """Whether a program with this mark runs on the node."""
    words = shell(node, "cat /proc/[0-9]*/cmdline 2>/dev/null || true").split("\0")
    return ("sleep", mark) in itertools.pairwise(words)


def drain(output: Output) -> bytes:
    """All that a program prints."""
    return b"".join(iter(lambda: os.read(output.fileno(), 65536), b""))


def pieces(content: bytes) -> Iterator[bytes]:
    """Content as it may come out of an archive."""
    return (content[at : at + 70_000] for at in range(0, len(content), 70_000))


def digest(content: bytes) -> str:
    """Its SHA-256."""
    return hashlib.sha256(content).hexdigest()


class NodeSuite:
    """The suite; a subclass gives the fixture ``node``."""

    @pytest.fixture
    def directory(self, node: Node) -> Iterator[str]:
        """A directory on the node, with an odd name."""
        made = shell(node, 'mktemp -d "/tmp/drkit test \' \\$x-XXXXXX"').removesuffix("\n")
        yield made
        shell(node, 'rm -rf -- "$1"', made)

    def test_it_has_the_name_that_the_cluster_gave_it(self, node: Node) -> None:
        """The name is the cluster's, whatever the host calls itself."""
        assert node.name == "server-1"

    def test_output_and_status_come_back(self, node: Node) -> None:
        """Any status is an answer, with what was printed to both streams."""
        done = node.run(["sh", "-c", "printf 'a\\0\\377'; echo words >&2; exit 255"], deadline=30)
        assert (done.status, done.stdout, done.stderr.strip()) == (255, b"a\0\xff", "words")

    def test_a_program_that_is_not_there_is_an_answer(self, node: Node) -> None:
        """The status is 127, as a shell's, and the words name the program."""
        done = node.run(["drkit-no-such-program", "x"], deadline=30)
        assert done.status == 127
        assert "drkit-no-such-program" in done.stderr

    def test_arguments_arrive_exactly(self, node: Node) -> None:
        """Blanks, quotes, newlines, wildcards, options and empty arguments reach the program as they are."""

        @settings(max_examples=15, deadline=None)
        @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), max_size=5))
        def check(arguments: list[str]) -> None:
            done = node.run(["sh", "-c", 'for a; do printf "%s\\0" "$a"; done', "sh", *arguments], deadline=30)
            assert done.stdout == b"".join(argument.encode() + b"\0" for argument in arguments)

        check()
        check.hypothesis.inner_test(["", "'", '"', "\\", "a\n b", "*", "-n", "$HOME `id` !1", "~", "\r\t"])  # type: ignore[attr-defined]

    def test_an_argument_that_no_program_can_get_is_refused(self, node: Node) -> None:
        """A NUL would end the argument in silence."""
        with pytest.raises(SourceFailed, match="NUL"):
            node.run(["echo", "a\0b"], deadline=30)

    @pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
    def test_input_arrives_whole(self, node: Node, size: int) -> None:
        """The program reads exactly what it was given, and then the end."""
        content = os.urandom(size)
        assert node.run(["cat"], stdin=content, deadline=30).stdout == content

    def test_a_program_need_not_read_its_input(self, node: Node) -> None:
        """Input that nobody wants holds nothing up."""
        assert node.run(["true"], stdin=bytes(3_000_000), deadline=30).status == 0

    def test_it_ends_by_its_deadline(self, node: Node) -> None:
        """A program that takes too long is killed there with all that it started, not only given up here."""
        mark = f"{MARK}1"
        with pytest.raises(DeadlineExceeded):
            node.run(["sh", "-c", f"sleep {mark} & sleep {mark}; true"], deadline=1)
        until(lambda: not sleeping(node, mark), seconds=10)

    def test_a_stream_comes_whole(self, node: Node) -> None:
        """What a program prints can be read while it runs, and its good end is seen."""
        with node.open(["sh", "-c", "head -c 3000000 /dev/zero; echo end"]) as output:
            assert drain(output) == bytes(3_000_000) + b"end\n"
            output.finish()

    def test_a_stream_that_broke_off_is_not_whole(self, node: Node) -> None:
        """A program that fails after it printed something fails the stream, with its last words."""
        with node.open(["sh", "-c", "echo some; echo no more room >&2; exit 7"]) as output:
            assert drain(output) == b"some\n"
            with pytest.raises(SourceFailed, match=r"status 7\n.*no more room"):
                output.finish()

    def test_leaving_the_body_ends_the_program(self, node: Node) -> None:
        """Whoever stops reading leaves nothing running there, even where the program prints nothing."""
        mark = f"{MARK}2"
        with node.open(["sh", "-c", f"echo on; sleep {mark}; true"]) as output:
            assert os.read(output.fileno(), 10) == b"on\n"
            assert sleeping(node, mark)
        until(lambda: not sleeping(node, mark), seconds=10)

    def test_leaving_the_body_at_once_ends_the_program(self, node: Node) -> None:
        """A program that is ended while it is being started does not run on alone."""
        mark = f"{MARK}4"
        for _ in range(4):
            with node.open(["sleep", mark]):
                pass
        until(lambda: not sleeping(node, mark), seconds=15)

    def test_a_program_may_clean_up(self, node: Node, directory: str) -> None:
        """What is ended gets time for its own undoing."""
        undo = 'trap \'sleep 1; rm "$1/there"; exit\' TERM; touch "$1/there"; echo on; sleep 60 & wait'
        with node.open(["sh", "-c", undo, "sh", directory]) as output:
            assert os.read(output.fileno(), 10) == b"on\n"
            assert shell(node, 'ls "$1"', directory) == "there\n"
        until(lambda: shell(node, 'ls "$1"', directory) == "", seconds=10)

    def test_programs_run_with_low_priority(self, node: Node) -> None:
        """The cluster's own work comes first."""
        assert shell(node, "nice").strip() == "10"

    def test_files_are_read_and_written(self, node: Node, directory: str) -> None:
        """A file gets its content and mode in one step, whatever was there before; one that is not there is nothing."""
        path = f"{directory}/file '\n x"
        assert node.read(path) is None
        node.write(path, b"old", mode=0o644)
        content = os.urandom(200_000)
        node.write(path, content, mode=0o600)
        assert node.read(path) == content
        assert shell(node, 'stat -c %a "$1"; ls "$2" | wc -l', path, directory).split() == ["600", "2"]

    def test_a_file_that_cannot_be_written_is_said(self, node: Node, directory: str) -> None:
        """Nothing is left of a write that failed."""
        with pytest.raises(SourceFailed, match="cannot be written"):
            node.write(f"{directory}/nowhere/file", b"x", mode=0o600)
        assert shell(node, 'ls "$1"', directory) == ""

    @pytest.mark.parametrize("size", [0, 1, 5_000_000])
    def test_a_file_is_sent(self, node: Node, directory: str, size: int) -> None:
        """A stream becomes a file with its content and mode, in place of what was there."""
        path = f"{directory}/file '\n x"
        content = os.urandom(size)
        for mode in (0o644, 0o600):
            node.send(path, pieces(content), size=size, sha256=digest(content), mode=mode)
            found = shell(node, 'sha256sum <"$1"; stat -c %a "$1"; ls "$2" | wc -l', path, directory).split()
            assert found == [digest(content), "-", f"{mode:o}", "2"]

    @pytest.mark.parametrize("size", [100_000, 300_000, 5_000_000])
    def test_what_was_not_sent_whole_is_not_there(self, node: Node, directory: str, size: int) -> None:
        """A stream that is too short, too long or another one leaves the old file alone, and nothing beside it."""
        path, content = f"{directory}/file", os.urandom(300_000)
        node.write(path, b"old", mode=0o600)
        expected = digest(content[:-1] + bytes([content[-1] ^ 1])) if size == len(content) else digest(content)
        with pytest.raises(SourceFailed):
            node.send(path, pieces(content), size=size, sha256=expected, mode=0o600)
        until(lambda: shell(node, 'ls "$1"', directory) == "file\n", seconds=60)
        assert node.read(path) == b"old"

    def test_a_stream_that_fails_is_not_sent(self, node: Node, directory: str) -> None:
        """Where the bytes come from failing ends the sending with that error, and leaves nothing."""

        def failing() -> Iterator[bytes]:
            yield bytes(100_000)
            raise VerificationFailed("it is another one")

        with pytest.raises(VerificationFailed, match="another one"):
            node.send(f"{directory}/file", failing(), size=200_000, sha256=digest(bytes(200_000)), mode=0o600)
        until(lambda: shell(node, 'ls "$1"', directory) == "", seconds=10)

    def test_a_file_that_cannot_be_sent_is_said(self, node: Node, directory: str) -> None:
        """What cannot be written ends the sending early, with the reason."""
        content = bytes(20_000_000)
        with pytest.raises(SourceFailed, match=r"cannot be written: .*nowhere"):
            node.send(
                f"{directory}/nowhere/file", pieces(content), size=len(content), sha256=digest(content), mode=0o600
            )

    def test_what_is_no_file_is_not_read(self, node: Node, directory: str) -> None:
        """A directory is no content, and no absence either; a device without an end is not read to it."""
        with pytest.raises(SourceFailed, match="cannot be read"):
            node.read(directory)
        with pytest.raises(SourceFailed, match="more than"):
            node.read("/dev/zero")

    def test_a_port_that_the_node_reaches_is_reached(self, node: Node) -> None:
        """A service that listens on the node's loopback answers through the forward."""
        serve = (
            "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler);"
            "print(s.server_port, flush=True); s.serve_forever()"
        )
        with node.open(["python3", "-c", serve]) as output:
            port = int(os.read(output.fileno(), 10))
            with node.forward("127.0.0.1", port) as (host, here):
                connection = http.client.HTTPConnection(host, here, timeout=10)
                connection.request("HEAD", "/")
                assert connection.getresponse().status == 200
                connection.close()

    def test_nothing_outlives_a_killed_drkit(self, node: Node, killed_while: str) -> None:
        """After kill -9 the program on the node ends, and so do those that it started."""
        mark = f"{MARK}3"
        script = f"{killed_while}\nwith node.open(['sh', '-c', 'sleep {mark} & sleep {mark}; true']): time.sleep(60)"
        child = os.posix_spawn(sys.executable, [sys.executable, "-c", script], os.environ)
        try:
            until(lambda: sleeping(node, mark), seconds=20)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
        until(lambda: not sleeping(node, mark), seconds=10)


def over_ssh(address: str, user: str, key: str, known_hosts: str, port: int) -> str:
    """Python text that makes ``node`` over SSH, for a process of its own."""
    return (
        "import time; from pathlib import Path; from drkit.cluster.ssh import SshNode;"
        "from drkit.config.model import Ssh;"
        f"node = SshNode('server-1', {address!r}, Ssh(user={user!r}, key=Path({key!r}),"
        f" known_hosts=Path({known_hosts!r}), port={port}))"
    )


@contextmanager
def shell_host() -> Iterator[LabBox]:
    """An sshd on loopback that gives its user a shell, as a machine's own does."""
    directory = Path(tempfile.mkdtemp(prefix="drkit-host-"))
    directory.chmod(0o755)
    try:
        with boxes.box(directory) as running:
            (running.directory / "authorized_keys").write_text(running.key.with_suffix(".pub").read_text())
            yield running
    finally:
        shutil.rmtree(directory, ignore_errors=True)
