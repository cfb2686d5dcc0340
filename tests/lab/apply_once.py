"""``python -m tests.lab.apply_once KUBECONFIG DIRECTORY``: a restore of an export's objects, to be killed.

The directory holds ``archive`` and ``details.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from drkit.cluster.api import connect
from drkit.cluster.kubeconfig import read as read_kubeconfig
from drkit.cluster.transport import ALONE
from drkit.manifests import read
from drkit.restore.objects.apply import apply
from drkit.restore.objects.gather import gather


def _tell(done: int, _: int) -> None:
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


def main() -> None:
    """Apply, and say after each object how many are done."""
    api = connect(read_kubeconfig(Path(sys.argv[1])), ALONE)
    directory = Path(sys.argv[2])
    details = json.loads((directory / "details.json").read_text())
    with (
        (directory / "archive").open("rb") as archive,
        gather(read.wished(read.objects(archive.read, details))) as objects,
    ):
        apply(api, objects, progress=_tell)


if __name__ == "__main__":
    main()
