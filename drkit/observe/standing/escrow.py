"""Where the escrow bundle stands, by this machine's own record, without a question to any vault or server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.errors import ConfigurationError
from drkit.keys import record
from drkit.keys.bundle import CONFIG
from drkit.keys.material import at_hand
from drkit.observe.standing.known import EscrowSeen

if TYPE_CHECKING:
    from drkit.config.model import Config


def seen(config: Config, text: str) -> EscrowSeen | None:
    """What is known of the bundle that this machine made last. ``drkit check`` looks closer, and asks the vaults.

    A configuration that says something else now makes no bundle useless: keys alone count here.

    Args:
        config: what ``drkit.yaml`` says.
        text: how it says it.

    Returns:
        None in a cluster's pod, which makes no bundle, and where a key cannot be read.
    """
    if config.cluster.kubeconfig == "in-cluster":
        return None
    last = record.last(config.cluster.name)
    if last is None:
        return EscrowSeen(None)
    try:
        newer = record.newer(last, at_hand(config, text))
    except ConfigurationError:
        return None
    return EscrowSeen(last.made, tuple(name for name in newer if name != CONFIG))
