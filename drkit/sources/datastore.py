"""Source ``datastore``: where the cluster keeps its objects, from the first server that can give it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.datastore import embedded, external, postgresql, sqlite
from drkit.datastore.look import Kind, decide, look
from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from drkit.cluster.node import Node
    from drkit.datastore.look import Seen
    from drkit.sources.port import SourceStream

ELECTION_SECONDS = 30.0
"""How long etcd may be without a leader: an election takes a few seconds, more on a machine that is busy."""
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Refused:
    """What each server said that gave no copy."""

    said: tuple[str, ...]

    @property
    def may_pass(self) -> bool:
        """Whether one of them runs, and its etcd may have a leader again soon."""
        return any(embedded.NOT_HEALTHY in each for each in self.said)


@dataclass(frozen=True)
class DatastoreSource:
    """The servers of a cluster.

    Args:
        servers: in the order in which they are tried.
        label: the recovery point; the name of what a server writes for the time of the copy says it.
        bin_dirs: where else PostgreSQL's programs may be.
    """

    servers: Sequence[Node]
    label: str
    bin_dirs: tuple[Path, ...] = ()
    name: str = "datastore"
    kind: str = "datastore"
    vaults: Sequence[str] = ("cluster",)
    file_name: str = "datastore"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Start a copy on the first server that can give one.

        Waits while etcd elects a leader.

        Raises:
            SourceFailed: none can; what each said is in the message.
        """
        until = time.monotonic() + ELECTION_SECONDS
        with ExitStack() as stack:
            while isinstance(chosen := self._first(stack), Refused):
                if not chosen.may_pass or time.monotonic() > until:
                    raise SourceFailed("\n".join(chosen.said), "the servers' own logs say more: journalctl -u k3s")
                process.pause(_LOOK_SECONDS)
            yield chosen

    def _first(self, stack: ExitStack) -> SourceStream | Refused:
        """The copy of the first server that can give one."""
        said: list[str] = []
        for server in self.servers:
            try:
                return stack.enter_context(self._from(server))
            except (SourceFailed, DeadlineExceeded) as error:
                said.append(_told(server.name, error))
        if not said:
            raise SourceFailed("no server is known", "name them in cluster.servers, with their addresses")
        return Refused(tuple(said))

    @contextmanager
    def _from(self, server: Node) -> Iterator[SourceStream]:
        seen = look(server)
        kind = decide(seen)
        with self._copy(server, seen, kind) as stream:
            yield _Stream(stream, {"datastore": kind.value, "server": server.name, "k3s": seen.version})

    def _copy(self, server: Node, seen: Seen, kind: Kind) -> AbstractContextManager[SourceStream]:
        match kind:
            case Kind.EMBEDDED_ETCD:
                return embedded.snapshot(server, seen, self.label)
            case Kind.SQLITE:
                return sqlite.copied(server, seen, self.label)
            case Kind.EXTERNAL_ETCD:
                return external.snapshot(server, seen)
            case Kind.POSTGRESQL:
                return postgresql.dumped(server, seen, self.bin_dirs)


def _told(server: str, error: SourceFailed | DeadlineExceeded) -> str:
    message = error.message if isinstance(error, SourceFailed) else str(error)
    hint = f" ({error.hint})" if isinstance(error, SourceFailed) and error.hint else ""
    return f"{message}{hint}" if server in message else f"{server}: {message}{hint}"


@dataclass(frozen=True)
class _Stream:
    copy: SourceStream
    facts: dict[str, Any]

    def fileno(self) -> int:
        return self.copy.fileno()

    def finish(self) -> None:
        self.copy.finish()

    def details(self) -> dict[str, Any]:
        return {**self.facts, **self.copy.details()}
