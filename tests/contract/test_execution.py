"""Programs in containers over a WebSocket: against a server on loopback that misbehaves as told, and the lab."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from drkit.cluster import api, kubeconfig
from drkit.cluster.execution import execute, verdict
from drkit.cluster.transport import Connection
from drkit.cluster.websocket import PROTOCOLS, Held
from drkit.errors import KubeRefused, KubeUnreachable, SourceFailed, StartAgain
from tests.lab.clusters import get
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.cluster.kube import Execution, Kube

SUCCESS = b'\x03{"metadata":{},"status":"Success"}'
FAILURE = {
    "status": "Failure",
    "message": "command terminated with non-zero exit code",
    "reason": "NonZeroExitCode",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}
MEGABYTE = 1024 * 1024


@contextmanager
def serving(behave: Callable[[ServerConnection, bytes], None], **more: Any) -> Iterator[Connection]:
    """An API server on loopback that runs nothing: it answers an exec with ``behave``, given the marker asked for."""

    def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        command = parse_qs(urlsplit(connection.request.path).query)["command"]
        behave(connection, command[4].encode() if command[0] == "sh" else b"")

    server: Server = serve(handle, "127.0.0.1", 0, **{"subprotocols": PROTOCOLS, "compression": None, **more})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Connection("127.0.0.1", server.socket.getsockname()[1], "", None, "127.0.0.1", {"Authorization": "x"})
    finally:
        server.shutdown()
        thread.join()


def read(running: Execution) -> bytes:
    """All of its output."""
    blocks = []
    while block := os.read(running.fileno(), MEGABYTE):
        blocks.append(block)
    return b"".join(blocks)


def outcome(behave: Callable[[ServerConnection, bytes], None], **more: Any) -> str:
    """What ``finish`` says of a program whose execution goes like this; empty where it is content."""
    with serving(behave, **more) as where, execute(where, "space", "pod", "container", ["program"]) as running:
        read(running)
        try:
            running.finish()
        except SourceFailed as error:
            return error.message
    return ""


def silent(connection: ServerConnection) -> None:
    """Say nothing until the other side has gone."""
    with suppress(ConnectionClosed):
        connection.recv()


def test_output_is_whole_when_status_and_marker_came() -> None:
    """Every byte comes through in order, the marker apart, however it was cut into messages."""
    sent = bytes(range(256)) * 1000

    def behave(connection: ServerConnection, marker: bytes) -> None:
        whole = sent + marker
        for begin in range(0, len(whole), 777):
            connection.send(b"\x01" + whole[begin : begin + 777])
        connection.send(SUCCESS)

    with serving(behave) as where, execute(where, "space", "pod", "container", ["program"]) as running:
        assert read(running) == sent
        running.finish()


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([b"\x01output", "MARKER"], "never heard of"),
        ([b"\x01output", SUCCESS], "cut short"),
        ([b"\x01output", b"\x03" + json.dumps(FAILURE).encode()], "ended with status 3"),
        (["MARKER", b"\x03{garbage"], "not to be understood"),
        (["MARKER", b"\x03[]"], "not to be understood"),
        (["MARKER", b"\x09what", SUCCESS], "channel 9"),
        (["MARKER", b"\x03" + b"x" * 70_000, SUCCESS], "channel 3"),
        (["MARKER", "text", SUCCESS], "not of its protocol"),
        (["MARKER", b"", SUCCESS], "not of its protocol"),
        (["MARKER", b"\x01" + b"x" * 2 * MEGABYTE, SUCCESS], "cut"),
    ],
)
def test_what_is_not_whole_is_never_called_so(messages: list[str | bytes], expected: str) -> None:
    """A missing status, a missing marker, a failure and garbage of every kind fail the source."""

    def behave(connection: ServerConnection, marker: bytes) -> None:
        for message in messages:
            connection.send(b"\x01" + marker if message == "MARKER" else message)

    assert expected in outcome(behave)


def test_output_that_was_lost_is_asked_for_again() -> None:
    """Of a program that ended well, and whose last output did not come, it is said that it is worth another try."""

    def behave(connection: ServerConnection, _: bytes) -> None:
        connection.send(b"\x01output")
        connection.send(SUCCESS)

    with serving(behave) as where, execute(where, "space", "pod", "container", ["program"]) as running:
        read(running)
        with pytest.raises(StartAgain, match="cut short"):
            running.finish()


def test_a_cut_connection_fails_the_source() -> None:
    """A connection that breaks in mid-output is said to have been cut."""

    def behave(connection: ServerConnection, _: bytes) -> None:
        connection.send(b"\x01half")
        connection.socket.close()

    assert "the connection was cut" in outcome(behave)


def test_the_last_words_are_in_the_error() -> None:
    """What the program wrote on stderr is shown."""

    def behave(connection: ServerConnection, _: bytes) -> None:
        connection.send(b"\x02it is full\n")
        connection.send(b"\x03" + json.dumps(FAILURE).encode())

    assert outcome(behave).endswith("it is full")


def test_a_slow_reader_slows_the_program_down() -> None:
    """Nobody reads: what the server gets rid of stays bounded, and all of it comes once somebody does."""
    passed = [0]

    def behave(connection: ServerConnection, marker: bytes) -> None:
        for _ in range(100):
            connection.send(b"\x01" + bytes(MEGABYTE // 2))
            passed[0] += 1
        connection.send(b"\x01" + marker)
        connection.send(SUCCESS)

    with serving(behave) as where, execute(where, "space", "pod", "container", ["program"]) as running:
        before = -1
        while before != passed[0]:  # until nothing moves any more
            before = passed[0]
            time.sleep(0.3)
        assert passed[0] < 60
        assert len(read(running)) == 50 * MEGABYTE
        running.finish()


def test_input_is_fed_and_ended() -> None:
    """Version 5 of the protocol can say that an input has ended."""

    def behave(connection: ServerConnection, _: bytes) -> None:
        while (message := connection.recv()) != b"\xff\x00":
            assert isinstance(message, bytes)
            connection.send(b"\x01" + message[1:])
        connection.send(SUCCESS)

    with serving(behave) as where, execute(where, "s", "p", "c", ["program"], stdin=True) as running:
        running.write(b"x" * 100_000)
        running.end_input()
        assert read(running) == b"x" * 100_000
        running.finish()


def test_an_old_server_cannot_be_told_the_end_of_an_input() -> None:
    """Version 4 has no word for it, which is said instead of waiting for ever."""
    with (
        serving(lambda connection, _: connection.send(SUCCESS), subprotocols=PROTOCOLS[1:]) as where,
        execute(where, "s", "p", "c", ["program"], stdin=True) as running,
        pytest.raises(SourceFailed, match=r"cannot be told"),
    ):
        running.end_input()


def test_a_refusal_carries_the_status_and_what_was_said() -> None:
    """The API's own words are in the error, and nobody is left connected."""

    def refuse(_: ServerConnection, __: Request) -> Response:
        return Response(403, "Forbidden", Headers(), b'{"message": "you may not"}')

    with serving(lambda *_: None, process_request=refuse) as where:
        with (
            pytest.raises(KubeRefused, match=r"you may not") as refused,
            execute(where, "s", "p", "c", ["program"]),
        ):
            pass
        assert refused.value.status == 403
        assert "rbac-databases.yaml" in refused.value.hint


def test_a_busy_api_is_asked_again() -> None:
    """Refusals that pass are tried again, within a bound; those that do not pass are not."""
    statuses = [503, 429]

    def refuse(_: ServerConnection, __: Request) -> Response | None:
        return Response(statuses.pop(0), "", Headers(), b"") if statuses else None

    def behave(connection: ServerConnection, marker: bytes) -> None:
        connection.send(b"\x01" + marker)
        connection.send(SUCCESS)

    assert outcome(behave, process_request=refuse) == ""
    statuses = [503] * 3
    with pytest.raises(KubeRefused):
        outcome(behave, process_request=refuse)
    assert not statuses


def test_who_does_not_answer_is_unreachable() -> None:
    """A closed port is an API that does not answer."""
    with serving(lambda *_: None) as where:
        pass
    with pytest.raises(KubeUnreachable), execute(where, "s", "p", "c", ["program"]):
        pass


@pytest.mark.parametrize("linger", [b"\0" * 8, b"\1" + b"\0" * 7], ids=["closed", "reset"])
def test_an_api_that_hangs_up_is_asked_again(linger: bytes) -> None:
    """An API server that goes away in the middle of a handshake is no unexpected error, and may be back."""
    asked = 0
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up() -> None:
            nonlocal asked
            with suppress(OSError):  # the listening socket was closed: the test is over
                while True:
                    connection, _ = listening.accept()
                    asked += 1
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        where = Connection("127.0.0.1", listening.getsockname()[1], "", None, "127.0.0.1", {})
        with pytest.raises(KubeUnreachable), execute(where, "s", "p", "c", ["program"]):
            pytest.fail("nobody started it")
        listening.shutdown(socket.SHUT_RDWR)
    assert asked > 1


def test_cutting_ends_the_reading() -> None:
    """Whoever reads comes to the end of the output when it is cut off from another thread."""
    with (
        serving(lambda connection, _: silent(connection)) as where,
        execute(where, "s", "p", "c", ["program"]) as running,
    ):
        threading.Timer(0.2, running.cut).start()
        assert read(running) == b""
        with pytest.raises(SourceFailed, match="the connection was cut"):
            running.finish()


def test_cutting_ends_the_feeding() -> None:
    """Whoever feeds a program that takes nothing any more fails when it is cut off from another thread."""
    over = threading.Event()

    def stalled(_: ServerConnection, __: bytes) -> None:
        over.wait()

    with (
        serving(stalled) as where,
        execute(where, "s", "p", "c", ["program"], stdin=True) as running,
    ):
        threading.Timer(0.5, running.cut).start()
        with pytest.raises(SourceFailed, match="the connection was cut"):
            running.write(bytes(64 * MEGABYTE))
        over.set()


def test_the_last_word_is_understood_or_a_failure() -> None:
    """Only a status that says success is one."""
    assert not verdict(b'{"status": "Success"}').wrong
    assert verdict(b"").wrong
    assert "no such container" in verdict(b'{"status": "Failure", "message": "no such container"}').wrong
    assert verdict(b'{"status": "Failure", "details": {"causes": [7]}}').wrong


KUBELET = 'error sending request: Post "https://10.0.0.3:10250/exec/postgres/main-db-1/postgres?command=sh": '
UPGRADE = "unable to upgrade connection: "
RUNTIME = "error executing command in container: failed to exec in container: failed to start exec"


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        (f"{KUBELET}dial tcp 10.0.0.3:10250: connect: no route to host", True),
        (f"{KUBELET}dial tcp 10.0.0.3:10250: connect: connection refused", True),
        (f"{UPGRADE}pod does not exist", True),
        (f'{UPGRADE}container not found ("postgres")', True),
        ("error dialing backend: dial tcp 10.0.0.3:10250: i/o timeout", True),
        (f"{UPGRADE}Forbidden (user=kube-apiserver, verb=create, resource=nodes, subresource=proxy)", False),
        (f'{RUNTIME}: OCI runtime exec failed: exec: "sh": executable file not found in $PATH: unknown', False),
    ],
)
def test_a_node_that_is_not_there_passes(said: str, passes: bool) -> None:
    """What the API says while a node boots passes by itself; what cannot be started there does not."""
    failure = {"status": "Failure", "reason": "InternalError", "message": f"Internal error occurred: {said}"}
    found = verdict(json.dumps(failure).encode())
    assert found.passes is passes
    assert "command=" not in found.wrong
    assert not verdict(json.dumps({**FAILURE, "message": said}).encode()).passes


@pytest.mark.parametrize(
    ("messages", "passes"),
    [
        ([b"\x01output"], True),
        (["CUT"], True),
        ([b"\x01output", SUCCESS], True),
        ([b"\x01output", b"\x03" + json.dumps(FAILURE).encode()], False),
        (["MARKER", b"\x03[]"], False),
        (["MARKER", b"\x09what", SUCCESS], False),
    ],
)
def test_only_an_end_that_nobody_told_passes(messages: list[str | bytes], passes: bool) -> None:
    """A program's own bad end is no matter of waiting, nor is what is not of the protocol."""

    def behave(connection: ServerConnection, marker: bytes) -> None:
        for message in messages:
            if message == "CUT":
                connection.socket.close()
            else:
                connection.send(b"\x01" + marker if message == "MARKER" else message)

    with serving(behave) as where, execute(where, "space", "pod", "container", ["program"]) as running:
        read(running)
        with pytest.raises(SourceFailed) as failed:
            running.finish()
    assert failed.value.passes is passes


Lab = dict[str, Any]
NAMESPACE = "postgres"


@pytest.fixture(scope="module")
def kube(workload: Lab) -> Kube:
    """The lab's API."""
    return api.connect(kubeconfig.read(Path(workload["kubeconfig"])))


@pytest.fixture(scope="module")
def pod(workload: Lab) -> str:
    """A pod with a shell in it."""
    found = get(workload, "clusters.postgresql.cnpg.io", "main-db", NAMESPACE)
    assert found is not None
    return str(found["status"]["currentPrimary"])


def printed(kube: Kube, pod: str, *argv: str) -> bytes:
    """What a program prints that must end well."""
    with kube.execute(NAMESPACE, pod, "postgres", argv) as running:
        output = read(running)
        running.finish()
    return output


def running_there(kube: Kube, pod: str) -> list[str]:
    """The command lines of the pod's processes."""
    script = "for each in /proc/[0-9]*; do tr '\\0' ' ' <$each/cmdline; echo; done 2>/dev/null; true"
    return printed(kube, pod, "sh", "-c", script).decode(errors="replace").splitlines()


@pytest.mark.lab
def test_programs_in_pods_are_binary_clean(kube: Kube, pod: str) -> None:
    """Arguments arrive as they are, and a large output has every byte."""
    assert printed(kube, pod, "printf", "%s|", "a b", "", "€\n'\"\\$x;*") == "a b||€\n'\"\\$x;*|".encode()
    assert printed(
        kube, pod, "sh", "-c", "for i in 0 1 2 3 4 5 6 7; do head -c 4194304 /dev/zero | tr '\\0' '\\377'; done"
    ) == (b"\xff" * 32 * MEGABYTE)


@pytest.mark.lab
def test_programs_that_fail_in_pods_fail_here(kube: Kube, pod: str) -> None:
    """Another status than 0, a signal and a missing program are failures, with the last words."""
    with pytest.raises(SourceFailed, match=r"status 3\nfull"):
        # What is printed right before the end is lost now and then (see ``PodExecution.finish``).
        printed(kube, pod, "sh", "-c", "echo output; echo full >&2; sleep 1; exit 3")
    with pytest.raises(SourceFailed, match="status 137"):
        printed(kube, pod, "sh", "-c", "kill -9 $$")
    with pytest.raises(SourceFailed, match="status 127"):
        printed(kube, pod, "no-such-program")
    with pytest.raises(KubeRefused, match="not found"):
        printed(kube, "no-such-pod", "true")


@pytest.mark.lab
def test_an_input_in_a_pod_ends(kube: Kube, pod: str) -> None:
    """A program that reads to the end of its input comes to it."""
    sent = os.urandom(300_000)
    with kube.execute(NAMESPACE, pod, "postgres", ["cat"], stdin=True) as running:

        def feed() -> None:
            running.write(sent)
            running.end_input()

        feeding = threading.Thread(target=feed)
        feeding.start()
        assert read(running) == sent
        feeding.join()
        running.finish()


@pytest.mark.lab
def test_nothing_is_left_in_the_pod(kube: Kube, pod: str) -> None:
    """A program whose body is left ends there, with its shell and all."""
    with kube.execute(NAMESPACE, pod, "postgres", ["sleep", "98765"]):
        until(lambda: any("sleep 98765" in line for line in running_there(kube, pod)), 30, 0.2)
    until(lambda: not any("98765" in line for line in running_there(kube, pod)), 30, 0.2)


def test_a_cut_connection_keeps_its_number() -> None:
    """Who still reads from a connection that was cut never reads or writes the file that was opened next."""
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    held = Held(ours)
    with theirs:
        held.close()
        assert ours.recv(1) == b""
        with tempfile.TemporaryFile() as opened:
            assert opened.fileno() != number
        held.release()
        assert ours.fileno() == -1
