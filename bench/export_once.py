"""``python -m bench.export_once KUBECONFIG FILE``: one export of all objects into a file, to be measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.cluster.api import connect
from drkit.cluster.kubeconfig import read
from drkit.errors import DrkitError
from drkit.sources.manifests import ManifestsSource

if TYPE_CHECKING:
    from drkit.cluster.kubeconfig import Access

_BLOCK = 256 * 1024


def export(access: Access, into: Path) -> dict[str, Any]:
    """Export all objects into a file; what a descriptor says of them.

    Raises:
        DrkitError: not all of it could be exported.
    """
    with ManifestsSource(connect(access)).open() as stream, into.open("wb") as file:
        while block := os.read(stream.fileno(), _BLOCK):
            file.write(block)
        stream.finish()
        details = stream.details()
    if details["lacking"]:
        raise DrkitError(f"not everything could be exported: {details['lacking']}")
    return details


def main() -> None:
    """Export, and say how many objects there were."""
    details = export(read(Path(sys.argv[1])), Path(sys.argv[2]))
    print(sum(kind["listed"] for kind in details["kinds"].values()))


if __name__ == "__main__":
    main()
