"""A database of a CloudNativePG cluster as a place to restore to: in the pod of whoever is its primary."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit import process
from drkit.cluster import cnpg
from drkit.cluster.server import InPod
from drkit.errors import SourceFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.cnpg import Instance, PostgresCluster
    from drkit.cluster.kube import Execution, Kube
    from drkit.errors import DrkitError

_LOOK_SECONDS = 1.0
_LOOKS = 15
"""So many seconds apart the API is asked whether a program's pod is still what it was."""
_LOOKS_AFTER = 5
"""A container's end is known to the API seconds after those who were connected to it know."""


@dataclass(frozen=True)
class InPrimary:
    """A ``Destination``."""

    kube: Kube
    cluster: PostgresCluster
    database: str
    application: str
    """See ``Server.application``."""

    @property
    def shown(self) -> str:
        """For messages."""
        return f"{self.cluster}/{self.database}"

    def server(self) -> OnInstance:
        """The primary of now; waits while there is none."""
        found = cnpg.instance(self.kube, self.cluster, "primary")
        running = Watched(self.kube, found)
        return OnInstance(
            running, self.cluster.namespace, found.pod, self.database, application=self.application, instance=found
        )


@dataclass(frozen=True)
class OnInstance(InPod):
    """A ``Server`` that can be told from the one that takes its place."""

    kube: Watched
    instance: Instance = field(kw_only=True)

    def left(self, error: DrkitError) -> bool:
        """Whether the error says so, or the API within a few seconds.

        Where the way to it was cut the API may take a minute to learn why: what was begun is begun again in any case.
        """
        if error.passes or cnpg.says_that_it_left(error.message):
            return True
        for _ in range(_LOOKS_AFTER):
            with suppress(SourceFailed):  # an API that does not answer just now says nothing of the server
                if not cnpg.is_still(self.kube.kube, self.instance):
                    return True
            process.pause(_LOOK_SECONDS)
        return False


@dataclass(frozen=True)
class Watched:
    """Runs programs in an instance's pod, and cuts them off once it is not what it was.

    A node that has lost its power ends no connection. Nor does a signal to drkit end who waits for an answer.
    """

    kube: Kube
    instance: Instance

    @contextmanager
    def execute(
        self, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool = False
    ) -> Iterator[Execution]:
        """Start a program in a container; see ``Kube.execute``."""
        over = threading.Event()
        with self.kube.execute(namespace, pod, container, argv, stdin=stdin) as running:
            threading.Thread(target=self._watch, args=(running, over), name=f"watch {pod}", daemon=True).start()
            try:
                yield running
            finally:
                over.set()

    def _watch(self, running: Execution, over: threading.Event) -> None:
        look = 0
        while not over.wait(_LOOK_SECONDS):
            look += 1
            if process.ending() or (look % _LOOKS == 0 and self._has_left()):
                running.cut()
                return

    def _has_left(self) -> bool:
        with suppress(SourceFailed):  # see OnInstance.left
            return not cnpg.is_still(self.kube, self.instance)
        return False
