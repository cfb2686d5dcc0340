"""Ways through a node, a real sshd on loopback: one that breaks is told apart from its target, and made anew."""

from __future__ import annotations

import os
import pwd
import signal
import time
from typing import TYPE_CHECKING

import pytest

from drkit.cluster.ssh import SshNode
from drkit.config.model import Ssh
from drkit.drill.probes.doors import TUNNEL
from drkit.drill.probes.echo import Echo
from drkit.drill.probes.prober import start
from drkit.drill.probes.wanted import Asking, Place, Tcp
from drkit.drill.probes.ways import Ways
from drkit.drill.record import OK, Recorder
from drkit.drill.values import TCP, Probe
from drkit.errors import NodeUnreachable
from tests.unit.drill.probes.test_prober import answers, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drkit.lab.box import LabBox

USER = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def node(box: LabBox) -> Iterator[SshNode]:
    """A node that gives its user a shell."""
    (box.directory / "authorized_keys").write_text(box.key.with_suffix(".pub").read_text())
    settings = Ssh(user=USER, key=box.key, known_hosts=box.known_hosts, port=box.port)
    made = SshNode("w1", "127.0.0.1", settings)
    yield made
    made.close()


def asking(name: str, way: str) -> Asking:
    """A port behind a way, where something has to come back."""
    return Asking(Probe(name, TCP, "a port", 0.1, 5.0, None, session=True), Tcp(Place("", 0, way), "ping\n", "ping\n"))


def test_a_way_that_breaks_is_made_anew(node: SshNode, tmp_path: Path) -> None:
    """While the connection to the node is down, questions say so; then they are ok again, sessions too."""
    with Recorder(tmp_path / "record", time.monotonic()) as recorder, Echo() as target, Ways() as ways:
        ways.open("db", [node], *target.address)
        before = ways.now["db"]
        with start(recorder.path, recorder.start, [asking("t", "db")], ways):
            until(lambda: len(answers(recorder.path, "t")) > 10)
            assert {each.outcome for each in answers(recorder.path, "t")} == {OK}
            assert node._master is not None
            os.kill(node._master.pid, signal.SIGKILL)
            until(lambda: [each for each in answers(recorder.path, "t") if each.said == TUNNEL])
            broken = recorder.at()
            until(
                lambda: (
                    {(each.session, each.outcome) for each in answers(recorder.path, "t") if each.due > broken}
                    >= {(True, OK), (False, OK)}
                )
            )
        assert ways.now["db"] != before
    said = {each.said for each in answers(recorder.path, "t")}
    assert said <= {"", TUNNEL, "reset", "closed", "session ended"}


def test_a_target_behind_a_way_that_refuses_is_no_broken_way(node: SshNode, tmp_path: Path) -> None:
    """What is wrong behind the node is not called the way's fault."""
    with Recorder(tmp_path / "record", time.monotonic()) as recorder, Ways() as ways:
        ways.open("db", [node], "127.0.0.1", 1)
        with start(recorder.path, recorder.start, [asking("t", "db")], ways):
            until(lambda: len(answers(recorder.path, "t")) > 5)
    assert {each.said for each in answers(recorder.path, "t")} <= {"closed", "reset"}


def test_a_way_goes_through_the_first_node_that_leads_there(node: SshNode, box: LabBox) -> None:
    """A node that lets nobody in is passed over; where none leads there, all are named."""
    silent = SshNode("w2", "127.0.0.1", Ssh(user=USER, key=box.key, known_hosts=box.known_hosts, port=1))
    with Echo() as target, Ways() as ways:
        ways.open("db", [silent, node], *target.address)
        assert ways.now["db"] is not None
        with pytest.raises(NodeUnreachable, match=r"(?s)no node leads to .*w2"):
            ways.open("other", [silent], *target.address)
