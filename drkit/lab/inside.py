"""A program in a container, and all of what it printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker.models.containers

_OUTPUT, _ERRORS = 1, 2
_HEAD = 8
"""Bytes before each block: the number of its stream, three of nothing, and its length."""


def run_in(container: docker.models.containers.Container, *argv: str) -> tuple[int | None, str]:
    """Run a program in a container, and return its exit code and its output; what it warned of too where it failed.

    The library's own way, ``exec_run``, takes the connection over below what has been read of it ahead, and loses that:
    of some hundreds of outputs one's beginning. Who does not ask for the connection gets all as the body of an answer.

    Raises:
        DockerException: the engine refuses it; the container does not run, for instance.
        DrkitError: it ended while the program was to be started.
    """
    assert container.client is not None  # noqa: S101 - whoever has a container has asked for it
    api = container.client.api
    made = api.exec_create(container.id, list(argv))["Id"]
    # Not within a time: a program may say nothing for long.
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start", json={"Detach": False, "Tty": False}, timeout=None
    )
    if not answer.ok:
        raise DrkitError(f"{container.name}: {argv[0]} could not be started: {answer.text.strip()}")
    code = api.exec_inspect(made)["ExitCode"]
    # Its output alone is whole JSON; a warning can come between two lines of it.
    wanted = {_OUTPUT} if code == 0 else {_OUTPUT, _ERRORS}
    said = b"".join(block for stream, block in frames(answer.content) if stream in wanted)
    return code, said.decode(errors="replace")


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The blocks of output and errors, each with its stream's number. Pure.

    Source: docs.docker.com/reference/api/engine, "Attach to a container", stream format.
    """
    at = 0
    while at < len(body):
        end = at + _HEAD + int.from_bytes(body[at + 4 : at + _HEAD], "big")
        yield body[at], body[at + _HEAD : end]
        at = end
