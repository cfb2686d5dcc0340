"""Steps of a restore on a server that may leave in their middle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from drkit import process
from drkit.errors import PreflightFailed, RestoreFailed
from drkit.postgres.session import StatementFailed
from drkit.restore import target
from drkit.restore.steady import steadily

if TYPE_CHECKING:
    from drkit.errors import DrkitError
    from drkit.postgres.destination import Destination, Server


@dataclass
class Leaving:
    """A destination whose servers leave, or refuse, as they are told."""

    leaves: bool
    asked: int = 0
    shown: str = "postgres/main-db-1/shop"
    attempts: list[int] = field(default_factory=list)

    def server(self) -> Leaving:
        """The server of now."""
        self.asked += 1
        return self

    def left(self, _: DrkitError) -> bool:
        """Whether it has."""
        return self.leaves


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    monkeypatch.setattr(process, "pause", lambda _: None)


def take(at: Leaving, error: DrkitError, times: int) -> str:
    """A step that fails so many times."""

    def step(_: Server, attempt: int) -> str:
        at.attempts.append(attempt)
        if len(at.attempts) <= times:
            raise error
        return "done"

    return steadily(cast("Destination", at), step)


def test_a_server_that_left_is_followed() -> None:
    """The step begins again on the server of that time, and is told so."""
    at = Leaving(leaves=True)
    assert take(at, RestoreFailed("gone"), 3) == "done"
    assert (at.attempts, at.asked) == ([1, 2, 3, 4], 4)


def test_one_that_leaves_for_long_passes() -> None:
    """A machine that takes longer to boot than the attempts do ends them with what can be tried again later."""
    at = Leaving(leaves=True)
    with pytest.raises(PreflightFailed) as failed:
        take(at, PreflightFailed("No such file or directory"), 9)
    assert (failed.value.passes, at.attempts) == (True, [1, 2, 3, 4])


def test_what_a_server_refuses_does_not_pass() -> None:
    """A server that is still there has said what is wrong: once is enough."""
    at = Leaving(leaves=False)
    with pytest.raises(RestoreFailed) as failed:
        take(at, RestoreFailed("duplicate key value"), 1)
    assert (failed.value.passes, at.attempts) == (False, [1])


@pytest.mark.parametrize("lost", [True, False])
def test_a_session_that_was_lost_passes(lost: bool) -> None:
    """A statement's failure tells whether the way to the server was cut, or the server refused it."""

    class Session:
        def close(self) -> None:
            """Nothing is open."""

    class Here(Leaving):
        def connect(self) -> Session:
            return Session()

    with pytest.raises(RestoreFailed) as failed, target.connected(cast("Server", Here(leaves=False))):
        raise StatementFailed("psql ended before it had answered", lost=lost)
    assert failed.value.passes is lost
