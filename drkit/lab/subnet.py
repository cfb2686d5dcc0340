"""Choosing a network that nobody on this machine uses."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

CANDIDATES = ip_network("10.211.0.0/16")
"""Away from k3s's pods and services (10.42/16, 10.43/16), from the reference cluster's servers (10.0/16), and from what
Docker chooses by itself (172.17/16 to 192.168/16)."""

_PREFIX = 24


def choose(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first network that overlaps none of ``taken``; always the same one for the same input.

    Raises:
        PreflightFailed: there is none left.
    """
    used = list(taken)
    for candidate in CANDIDATES.subnets(new_prefix=_PREFIX):
        if isinstance(candidate, IPv4Network) and not any(candidate.overlaps(network) for network in used):
            return candidate
    raise PreflightFailed(
        f"every network in {CANDIDATES} is in use on this machine", "remove labs that nobody needs: drkit lab down"
    )
