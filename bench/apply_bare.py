"""``python -m bench.apply_bare KUBECONFIG FILE``: server-side PATCH requests side by side, and nothing else.

The file has two lines for each object: its path, and the body to send.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3

from drkit.clock import SystemClock
from drkit.cluster.credentials import Identity
from drkit.cluster.kubeconfig import read
from drkit.errors import DrkitError

_AT_ONCE = 8


def main() -> None:
    """Send all of them, and say how many were taken."""
    access = read(Path(sys.argv[1]))
    identity = Identity(access, SystemClock())
    headers = {"Content-Type": "application/apply-patch+yaml", **identity.headers()}
    url = urllib3.util.parse_url(access.server)
    pool = urllib3.HTTPSConnectionPool(
        str(url.host), url.port, maxsize=_AT_ONCE, block=True, ssl_context=identity.context()
    )

    def send(path: bytes, body: bytes) -> None:
        answer = pool.request("PATCH", f"{path.decode()}?fieldManager=bare&force=true", body=body, headers=headers)
        if answer.status != 201:
            raise DrkitError(f"{path.decode()}: {answer.status} {answer.data[:200]!r}")

    lines = Path(sys.argv[2]).read_bytes().splitlines()
    paths, bodies = lines[::2], lines[1::2]
    # Namespaces first.
    before = sum(path.startswith(b"/api/v1/namespaces/") and path.count(b"/") == 4 for path in paths)
    for start, end in ((0, before), (before, len(paths))):
        with ThreadPoolExecutor(_AT_ONCE) as workers:
            list(workers.map(send, paths[start:end], bodies[start:end]))
    print(len(paths))


if __name__ == "__main__":
    main()
