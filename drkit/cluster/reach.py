"""How a node is reached: as this machine, or over SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.cluster.local import LocalNode, is_here
from drkit.cluster.ssh import SshNode

if TYPE_CHECKING:
    from drkit.cluster.node import Node
    from drkit.config.model import Ssh


def reach(name: str, address: str, ssh: Ssh) -> Node:
    """The node ``name`` at ``address``. Nothing is connected to yet."""
    return LocalNode(name) if is_here(address) else SshNode(name, address, ssh)
