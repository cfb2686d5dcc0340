"""Documents that a point holds whole, out of the vault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from drkit.errors import VerificationFailed
from drkit.points.descriptor import LARGEST_BYTES
from drkit.restore.stream import feed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.points.descriptor import SourceEntry
    from drkit.vault.port import Vault

TOPOLOGY = "topology"


def topology(vaults: Mapping[str, Vault], source: SourceEntry | None) -> dict[str, Any]:
    """The document of the source ``topology``; empty where there is none.

    Raises:
        VerificationFailed: it is not what was sealed.
    """
    if source is None:
        return {}
    if source.size > LARGEST_BYTES:
        raise VerificationFailed(f"{source.name} has {source.size} bytes; no topology has")
    blocks: list[bytes] = []
    feed(vaults[source.vault], source, blocks.append)
    try:
        found = json.loads(b"".join(blocks))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise VerificationFailed(f"{source.name} is no JSON object")
    return found
