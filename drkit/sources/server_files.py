"""Source ``server-files``: what k3s on one node cannot be rebuilt without, and what the user names beside it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.cluster import files, k3s
from drkit.datastore.look import told
from drkit.errors import SourceFailed
from drkit.process import DeadlineExceeded
from drkit.sources.passing import passing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.node import Node, Output
    from drkit.sources.passing import Incoming, Prepared, Write
    from drkit.sources.port import SourceStream


@dataclass(frozen=True)
class ServerFilesSource:
    """One node, a server or an agent.

    Args:
        node: the node.
        extra: ``server_files.extra``, absolute paths.
    """

    node: Node
    extra: tuple[str, ...] = ()
    kind: str = "server-files"
    vaults: Sequence[str] = ("cluster",)
    file_name: str = "server-files.tar"

    @property
    def name(self) -> str:
        """One for each node."""
        return f"server-files/{self.node.name}"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Start reading the files.

        Raises:
            SourceFailed: the node cannot be reached, or a file that must be there cannot be read.
        """
        try:
            settings = [told(self.node, unit) for unit in (k3s.SERVER_UNIT, k3s.AGENT_UNIT)]
        except DeadlineExceeded as error:
            raise SourceFailed(f"{self.node.name}: {error}") from None
        patterns = [pattern for each in settings for pattern in k3s.kept(each)]

        def prepare(_: Output) -> Prepared:
            return self._passed

        with passing(self.node.open(files.command(patterns, self.extra)), prepare) as stream:
            yield stream

    def _passed(self, incoming: Incoming, write: Write) -> dict[str, Any]:
        return {"node": self.node.name, "files": files.repack(incoming, write)}
