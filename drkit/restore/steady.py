"""A step of a restore on a server that may be replaced in its middle by another one: a cluster that fails over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from drkit import process
from drkit.errors import PreflightFailed, RestoreFailed
from drkit.postgres.quoting import literal
from drkit.restore.target import found, one

if TYPE_CHECKING:
    from collections.abc import Callable

    from drkit.postgres.destination import Destination, Server
    from drkit.postgres.session import Session

_ATTEMPTS = 4
_PAUSE_SECONDS = 2.0
_REPLICATED_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_Result = TypeVar("_Result")


def steadily(at: Destination, step: Callable[[Server, int], _Result]) -> _Result:
    """Take a step on the server of now, and again where that leaves; the step is told which attempt it is.

    Where it leaves once too often that passes: a machine may take longer to boot than these attempts do.
    """
    attempt = 1
    while True:
        server = found(at)
        try:
            return step(server, attempt)
        except (RestoreFailed, PreflightFailed) as error:
            if not server.left(error):
                raise
            error.passes = True
            if attempt == _ATTEMPTS:
                raise
        process.pause(_PAUSE_SECONDS * attempt)
        attempt += 1


def replicated(session: Session) -> None:
    """Wait until whoever may take this server's place has all that it has: what a journal calls done must stay done.

    A replica that lags behind is not waited for for ever; nor is one that is being made, which nobody promotes.
    """
    position = literal(str(one(session, "select pg_catalog.pg_current_wal_lsn()::text")[0]))
    asked = "select count(*) from pg_catalog.pg_stat_replication where state = 'streaming' and flush_lsn < "
    until = time.monotonic() + _REPLICATED_SECONDS
    while one(session, asked + position)[0] and time.monotonic() < until:
        process.pause(_LOOK_SECONDS)
