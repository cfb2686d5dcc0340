"""Source ``manifests``: every object that the cluster's API can list, as one archive."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.manifests.export import Export

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drkit.cluster.kube import Api
    from drkit.sources.port import SourceStream


@dataclass(frozen=True)
class ManifestsSource:
    """A cluster by its API."""

    api: Api
    name: str = "manifests"
    kind: str = "manifests"
    vaults: Sequence[str] = ("cluster",)
    file_name: str = "manifests.tar"

    @contextmanager
    def open(self) -> Iterator[SourceStream]:
        """Start the export; see ``drkit.manifests.export``."""
        export = Export(self.api)
        try:
            yield export
        finally:
            export.close()
