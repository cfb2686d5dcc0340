"""An export, made by the real source, for tests to look at."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drkit.archive import entries
from drkit.manifests import read
from drkit.sources.manifests import ManifestsSource

if TYPE_CHECKING:
    from drkit.cluster.kube import Api, Object, Resource


@dataclass(frozen=True)
class Exported:
    """What an export came to."""

    archive: bytes
    details: dict[str, Any]

    @property
    def files(self) -> dict[str, bytes]:
        """By path."""
        return {entry.name: content.whole(entry.size) for entry, content in entries(io.BytesIO(self.archive))}

    @property
    def raw(self) -> list[Object]:
        """All objects as they were read back."""
        return [obj for _, obj in read.objects(io.BytesIO(self.archive).read, self.details)]

    @property
    def wished(self) -> list[tuple[Resource, Object]]:
        """The objects that a restore applies."""
        return list(read.wished(read.objects(io.BytesIO(self.archive).read, self.details)))


def export(api: Api) -> Exported:
    """Export all of a cluster."""
    with ManifestsSource(api).open() as stream:
        out = io.BytesIO()
        while block := os.read(stream.fileno(), 65536):
            out.write(block)
        stream.finish()
        return Exported(out.getvalue(), stream.details())
