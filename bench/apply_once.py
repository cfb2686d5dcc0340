"""``python -m bench.apply_once KUBECONFIG ARCHIVE DETAILS``: one restore of an export's objects, to be measured."""

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


def main() -> None:
    """Apply, and say how many objects were."""
    api = connect(read_kubeconfig(Path(sys.argv[1])), ALONE)
    details = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    with (
        Path(sys.argv[2]).open("rb") as archive,
        gather(read.wished(read.objects(archive.read, details))) as objects,
    ):
        print(apply(api, objects).applied)


if __name__ == "__main__":
    main()
