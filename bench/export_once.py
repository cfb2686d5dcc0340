"""``python -m bench.export_once KUBECONFIG FILE``: one export of all objects into a file, to be measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from drkit.cluster.api import connect
from drkit.cluster.kubeconfig import read
from drkit.errors import DrkitError
from drkit.sources.manifests import ManifestsSource

_BLOCK = 256 * 1024


def main() -> None:
    """Export, and say how many objects there were."""
    access = read(Path(sys.argv[1]))
    with ManifestsSource(connect(access)).open() as stream, Path(sys.argv[2]).open("wb") as file:
        while block := os.read(stream.fileno(), _BLOCK):
            file.write(block)
        stream.finish()
        details = stream.details()
    if details["lacking"]:
        raise DrkitError(f"not everything could be exported: {details['lacking']}")
    print(sum(kind["listed"] for kind in details["kinds"].values()))


if __name__ == "__main__":
    main()
