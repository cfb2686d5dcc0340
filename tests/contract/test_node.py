"""The suite for nodes, on this machine and through a real sshd on loopback; then what only SSH can get wrong."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.local import LocalNode, is_here
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.errors import NodeUnreachable
from drkit.lab import box as boxes
from tests.contract.node_suite import NodeSuite, drain, over_ssh, shell, shell_host
from tests.lab.processes import command_line, descendants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.box import LabBox

USER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def host() -> Iterator[LabBox]:
    """An sshd on loopback that gives its user a shell."""
    with shell_host() as running:
        yield running


def settings_of(host: LabBox, **changed: object) -> Ssh:
    """How the host is logged in to."""
    return Ssh.model_validate(
        {"user": USER, "key": host.key, "known_hosts": host.known_hosts, "port": host.port, **changed}
    )


@pytest.fixture(scope="module")
def direct(host: LabBox) -> Iterator[SshNode]:
    """One connection for all tests."""
    made = SshNode("server-1", "127.0.0.1", settings_of(host))
    yield made
    made.close()


@pytest.fixture(scope="module")
def far(host: LabBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshNode]:
    """One connection through two others; the key's path has what ssh would read as its own."""
    key = tmp_path_factory.mktemp("k%h") / 'a "key" %p'
    shutil.copy(host.key, key)
    hop = f"{USER}@127.0.0.1:{host.port}"
    made = SshNode("server-1", "127.0.0.1", settings_of(host, key=key, jump=f"{hop},ssh://{hop}"))
    yield made
    made.close()


class TestLocal(NodeSuite):
    """This machine."""

    @pytest.fixture
    def node(self) -> LocalNode:
        """It."""
        return LocalNode("server-1")

    @pytest.fixture
    def killed_while(self) -> str:
        """Text that makes it in another process."""
        return "import time; from drkit.cluster.local import LocalNode; node = LocalNode('server-1')"


class TestSsh(NodeSuite):
    """A host over SSH."""

    @pytest.fixture
    def node(self, direct: SshNode) -> SshNode:
        """It."""
        return direct

    @pytest.fixture
    def killed_while(self, host: LabBox) -> str:
        """Text that makes it in another process."""
        return over_ssh("127.0.0.1", USER, str(host.key), str(host.known_hosts), host.port)


class TestThroughAJumpHost(NodeSuite):
    """A host over SSH through two others, the same sshd here, with the same pinned keys."""

    @pytest.fixture
    def node(self, far: SshNode) -> SshNode:
        """It."""
        return far

    @pytest.fixture
    def killed_while(self, host: LabBox) -> str:
        """Text that makes it in another process."""
        return over_ssh("127.0.0.1", USER, str(host.key), str(host.known_hosts), host.port)


def failure(node: SshNode) -> NodeUnreachable:
    """How a command on it fails."""
    with pytest.raises(NodeUnreachable) as caught:
        node.run(["true"], deadline=30)
    assert caught.value.hint
    node.close()
    return caught.value


def test_a_refused_key_is_said(host: LabBox, tmp_path: Path) -> None:
    """A key that the node does not know: the error says so, and where it belongs."""
    boxes._generate(tmp_path / "other")
    error = failure(SshNode("w1", "127.0.0.1", settings_of(host, key=tmp_path / "other")))
    assert "node w1" in error.message
    assert "refuses the key" in error.message
    assert "authorized_keys" in error.hint


def test_an_unknown_host_key_is_said(host: LabBox, tmp_path: Path) -> None:
    """A host that known_hosts does not have is not talked to; the fingerprint that it offers is shown."""
    error = failure(SshNode("w1", "127.0.0.1", settings_of(host, known_hosts=tmp_path / "none")))
    assert "host key is unknown" in error.message
    assert "offered now: SHA256:" in error.message


def test_a_changed_host_key_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A host with another key than the pinned one is not talked to; both fingerprints are shown."""
    with boxes.box(tmp_path_factory.mktemp("changed")) as other:
        other.new_host_key()
        error = failure(SshNode("w1", "127.0.0.1", settings_of(other)))
    assert "host key has changed" in error.message
    assert "known_hosts: SHA256:" in error.message
    assert "attack" in error.hint


def test_an_unreachable_host_is_said(host: LabBox) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "does not answer" in failure(SshNode("w1", "127.0.0.1", settings_of(host, port=port))).message


def test_a_silent_host_is_given_up(host: LabBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection and says nothing is given up in bounded time."""
    from drkit.cluster import ssh_command  # noqa: PLC0415 - a bound of this test's own

    monkeypatch.setattr(ssh_command, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        node = SshNode("w1", "127.0.0.1", settings_of(host, port=listener.getsockname()[1]))
        began = time.monotonic()
        assert "does not answer" in failure(node).message
        assert time.monotonic() - began < 10


def test_a_host_that_runs_no_programs_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where the login gives something else than a shell no status is taken for the program's."""
    with boxes.box(tmp_path_factory.mktemp("forced")) as forced:
        keys = forced.directory / "authorized_keys"
        keys.write_text('command="exit 0" ' + forced.key.with_suffix(".pub").read_text())
        assert "no program could be run" in failure(SshNode("w1", "127.0.0.1", settings_of(forced))).message


def test_one_connection_serves_all_commands(host: LabBox) -> None:
    """The host is logged in to once, however many commands, streams and forwards there are."""
    log = host.directory / "sshd.log"
    node = SshNode("server-1", "127.0.0.1", settings_of(host))
    before = log.read_text().count("Accepted publickey")
    for _ in range(5):
        shell(node, "true")
    with node.open(["echo", "on"]) as output, node.forward("127.0.0.1", host.port):
        drain(output)
        output.finish()
    node.close()
    assert log.read_text().count("Accepted publickey") == before + 1


def test_a_connection_that_breaks_is_no_end(host: LabBox) -> None:
    """A stream whose connection is cut is not whole; the next command connects again."""
    node = SshNode("server-1", "127.0.0.1", settings_of(host))
    with node.open(["sh", "-c", "echo on; sleep 60; true"]) as output:
        assert os.read(output.fileno(), 10) == b"on\n"
        assert node._master is not None
        os.kill(node._master.pid, signal.SIGKILL)
        assert drain(output) == b""
        with pytest.raises(NodeUnreachable):
            output.finish()
    assert shell(node, "echo again") == "again\n"
    node.close()


def test_no_secret_is_an_argument(host: LabBox) -> None:
    """What is written to a file is no argument of any program here or there."""
    node = SshNode("server-1", "127.0.0.1", settings_of(host))
    with tempfile.TemporaryDirectory() as directory:
        os.mkfifo(f"{directory}/held")
        with node.open(["sh", "-c", f"echo on; cat <{directory}/held"]) as output:
            os.read(output.fileno(), 10)
            node.write(f"{directory}/secret", b"correct horse", mode=0o600)
            everything = [command_line(pid) for pid in descendants(os.getpid())]
            assert any("ssh" in line[0] for line in everything)
            assert not any("correct horse" in word for line in everything for word in line)
    node.close()


def test_the_private_directory_goes(host: LabBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's socket is where its owner alone can reach it, however long the path, and is gone afterwards."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    node = SshNode("server-1", "127.0.0.1", settings_of(host))
    assert shell(node, "echo here") == "here\n"
    assert node._socket is not None
    directory = node._socket.parent
    assert directory.stat().st_mode & 0o077 == 0
    node.close()
    assert not directory.exists()
    assert not list(deep.iterdir())


def test_this_machine_is_known(host: LabBox) -> None:
    """An address of this machine's own is reached without SSH, another one over SSH."""
    assert is_here("localhost")
    assert is_here("127.0.0.1")
    assert is_here("::1") or not socket.has_ipv6
    assert not is_here("192.0.2.10")
    assert not is_here("no-such-host.invalid")
    assert isinstance(reach("a", "localhost", Ssh()), LocalNode)
    assert isinstance(reach("a", "192.0.2.10", Ssh()), SshNode)
