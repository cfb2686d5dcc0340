"""Programs in containers, over the API's WebSocket: https://kubernetes.io/docs/reference/using-api/websockets/.

Each message begins with the number of its channel: 0 input, 1 output, 2 error output, 3 how it ended (JSON), and in
version 5 of the protocol 255, which says that a channel has ended.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from drkit import process
from drkit.cluster.pod_watch import watched
from drkit.cluster.websocket import PROTOCOLS, connected
from drkit.errors import SourceFailed, StartAgain
from drkit.vault import gate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.sync.client import ClientConnection

    from drkit.cluster.transport import Connection

_INPUT, _OUTPUT, _ERRORS, _STATUS, _END = 0, 1, 2, 3, 255
_PING_SECONDS = 20.0
_BLOCK = 32 * 1024
_LARGEST_STATUS = 64 * 1024
_LARGEST_ERRORS = 64 * 1024
_ASKED = re.compile(r'\w+ "https?://([^/"]*)/exec/[^"]*"')
"""A kubelet's address, and behind it the whole program that it was to start."""
# What the API server says where a node has lost its power, comes back, and has not started its containers yet: seen
# with Kubernetes 1.34. What the runtime says of a program that it cannot start is none of it.
_AWAY = re.compile(
    r"error sending request: |error dialing backend: "
    r"|unable to upgrade connection: (pod does not exist|container not found)"
)


@contextmanager
def execute(
    where: Connection, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool = False
) -> Iterator[PodExecution]:
    """``Kube.execute``.

    Without ``stdin`` the program is watched (``drkit.cluster.pod_watch``): it ends there when the body is left or drkit
    dies, and its output is whole only if a marker came behind it. With ``stdin`` the input is the program's own, and
    its end is the program's to notice.

    Raises:
        KubeUnreachable: the API does not answer.
        KubeRefused: it does not let us, or there is no such pod or container.

    What passes of what the program's ``write`` and ``finish`` raise: see ``Verdict``.
    """
    marker = "" if stdin else secrets.token_hex(16)
    command = list(argv) if stdin else watched(argv, marker)
    query = [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
    address = f"{path}?{urlencode([*query, *(('command', each) for each in command)])}"
    with ExitStack() as stack:
        connection = stack.enter_context(connected(where, address))
        running = PodExecution(connection, f"{argv[0]} in {namespace}/{pod}", marker.encode())
        stack.callback(running.close)
        yield running


class PodExecution:
    """A running program: an ``Execution``. Made by ``execute``.

    Its output goes through a pipe. Who reads slowly slows the program down: what the pipe does not take stays in the
    API's connection, a few messages apart.
    """

    def __init__(self, connected: ClientConnection, what: str, marker: bytes) -> None:
        self._connected, self._what = connected, what
        self._output = _Output(marker)
        self._errors: deque[bytes] = deque()
        self._errors_size = 0
        self._status = b""
        self._trouble = ""
        self._was_cut = False
        self._reading, writing = os.pipe()
        gate.widen(writing)
        self._closed = threading.Event()
        self._pump = threading.Thread(target=self._receive, args=(writing,), name=what, daemon=True)
        self._pump.start()
        threading.Thread(target=self._keep_alive, name=f"{what}: alive", daemon=True).start()

    def fileno(self) -> int:
        """What it prints."""
        return self._reading

    def write(self, data: bytes) -> None:
        """Feed its input.

        Raises:
            SourceFailed: the connection was cut.
        """
        view = memoryview(data)
        for begin in range(0, len(view), _BLOCK):
            self._send(bytes([_INPUT]) + view[begin : begin + _BLOCK])

    def end_input(self) -> None:
        """Say that there is no more input.

        Raises:
            SourceFailed: the connection was cut, or the API server is older than Kubernetes 1.30 and cannot be told.
        """
        if self._connected.subprotocol != PROTOCOLS[0]:
            raise SourceFailed(
                f"{self._what}: this API server cannot be told that an input has ended",
                "it takes Kubernetes 1.30 or newer",
            )
        self._send(bytes([_END, _INPUT]))

    def finish(self) -> None:
        """See that it ended well and that all of its output came; to be called once that has been read.

        Raises:
            StartAgain: it ended well, and what it printed last was lost on the way, as it is at times on a busy node
                (github.com/kubernetes/kubernetes/issues/124571).
            SourceFailed: it did not end well.
        """
        self._pump.join()
        failure = Verdict(self._trouble, self._was_cut) if self._trouble else verdict(self._status)
        if not failure.wrong and not self._output.whole:
            raise StartAgain(f"{self._what}: its output was cut short on the way")
        if failure.wrong:
            said = process.tail(b"".join(self._errors).decode(errors="replace"))
            message = f"{self._what}: {failure.wrong}" + (f"\n{said}" if said else "")
            raise SourceFailed(message, passes=failure.passes)

    def cut(self) -> None:
        """Cut it off: who reads its output comes to the end of it, who feeds it fails. Safe from another thread."""
        self._closed.set()
        # The library's own way to close waits for whoever is sending, and that one for a node that has lost its power.
        self._connected.socket.close()

    def close(self) -> None:
        """End it, unless it has ended. Nobody may read its output any more."""
        os.close(self._reading)
        self.cut()
        self._pump.join()

    def _send(self, message: bytes) -> None:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - whoever is here has imported it

        try:
            self._connected.send(message)
        except (ConnectionClosed, OSError) as error:
            raise SourceFailed(f"{self._what}: the connection was cut: {error}", passes=True) from None

    def _keep_alive(self) -> None:
        """Balancers and firewalls on the way forget connections that are silent."""
        with suppress(Exception):  # it is closed, or about to be: the pump sees that
            while not self._closed.wait(_PING_SECONDS):
                self._connected.ping()

    def _receive(self, writing: int) -> None:
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK  # noqa: PLC0415 - see _send

        try:
            with os.fdopen(writing, "wb", buffering=0) as pipe, suppress(ConnectionClosedOK):
                while not self._trouble:
                    self._take(self._connected.recv(), pipe.fileno())
        except ConnectionClosed as error:
            if not self._status:
                self._trouble, self._was_cut = f"the connection was cut: {error}", True
        except OSError as error:  # the reader has gone
            self._trouble = f"its output could not be passed on: {error.strerror}"

    def _take(self, message: str | bytes, pipe: int) -> None:
        if isinstance(message, str) or not message:
            self._trouble = "the API sent something that is not of its protocol"
            return
        channel, data = message[0], message[1:]
        if channel == _OUTPUT:
            _write(pipe, self._output.passed(data))
        elif channel == _ERRORS:
            self._errors.append(data)
            self._errors_size += len(data)
            while self._errors_size > _LARGEST_ERRORS:
                self._errors_size -= len(self._errors.popleft())
        elif channel == _STATUS and len(self._status) + len(data) <= _LARGEST_STATUS:
            self._status += data
        elif channel != _END:
            self._trouble = f"the API sent something on channel {channel} that is not of its protocol"


class _Output:
    """What of the output is the program's own: all but the marker behind it."""

    def __init__(self, marker: bytes) -> None:
        self._marker = marker
        self._held = b""

    def passed(self, data: bytes) -> bytes:
        """What can be passed on, now that ``data`` has come."""
        if not self._marker:
            return data
        both = self._held + data
        self._held = both[-len(self._marker) :]
        return both[: -len(self._marker)]

    @property
    def whole(self) -> bool:
        """Whether the marker was the last that came."""
        return self._held == self._marker


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Verdict(NamedTuple):
    """How a program ended."""

    wrong: str
    """Empty where it ended with 0."""
    passes: bool = False
    """Whether nobody knows how it ended, or its node or container is not there just now: never, where it is known."""


def verdict(status: bytes) -> Verdict:
    """What is wrong by the API's last word, a ``Status`` in JSON. Pure."""
    if not status:
        return Verdict("how it ended was never heard of", passes=True)
    try:
        said: dict[str, Any] = json.loads(status)
        if said["status"] == "Success":
            return Verdict("")
        causes = (said.get("details") or {}).get("causes") or []
        codes = [cause["message"] for cause in causes if cause.get("reason") == "ExitCode"]
        if codes:
            return Verdict(f"it ended with status {codes[0]}")
        message = _ASKED.sub(r"\1", str(said.get("message")))
        return Verdict(f"it failed: {message}", _AWAY.search(message) is not None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Verdict("how it ended is not to be understood")
