"""How a node is reached: as this machine, or over SSH; and whether a port is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from drkit.cluster.local import LocalNode, is_here
from drkit.cluster.ssh import SshNode

if TYPE_CHECKING:
    from drkit.cluster.node import Node
    from drkit.config.model import Ssh


_LOOK_SECONDS = 3.0


def reach(name: str, address: str, ssh: Ssh) -> Node:
    """The node ``name`` at ``address``. Nothing is connected to yet."""
    return LocalNode(name) if is_here(address) else SshNode(name, address, ssh)


def answers(host: str, port: int) -> bool:
    """Whether a connection to a port comes about."""
    try:
        with socket.create_connection((host, port), _LOOK_SECONDS):
            return True
    except OSError:
        return False
