"""Whether the cluster that was lost is dead: where its machines and its API would answer, and whether they do."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drkit.cluster.k3s import API_PORT
from drkit.cluster.members import members
from drkit.providers.port import SSH_PORT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from drkit.config.model import Cluster
    from drkit.providers.port import Fenced

_SECONDS = 5.0


@dataclass(frozen=True)
class Door:
    """Where something of the old cluster would answer; ``node`` is whose door it is, empty for the API's."""

    node: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.node or 'the API'} at {self.host}:{self.port}"


def doors(cluster: Cluster, api: str, topology: Mapping[str, Any], new: Collection[str]) -> tuple[Door, ...]:
    """Where to knock. Pure.

    Behind a host on the way there is no telling who is silent, the host or what is behind it: then there is none.

    Args:
        cluster: the old one, as the configuration has it.
        api: the URL of its API; empty where it is not known.
        topology: the document of the source ``topology``.
        new: addresses that the new machines have now.
    """
    if cluster.ssh.jump:
        return ()
    listed = [_as_node(each) for each in topology.get("nodes") or ()]
    found = []
    for member in members(cluster.servers, listed):
        found.append(Door(member.name, member.address, cluster.ssh.port or SSH_PORT))
        found += [Door(member.name, member.address, API_PORT)] if member.is_server else []
    parts = urlsplit(api)
    if parts.hostname and parts.hostname not in {door.host for door in found}:
        found.append(Door("", parts.hostname, parts.port or 443))
    return tuple(door for door in found if door.host and door.host not in new)


def _as_node(known: Mapping[str, Any]) -> dict[str, Any]:
    """A node of the topology as the API would list it."""
    return {
        "metadata": {"name": known["name"], "labels": known.get("labels", {})},
        "status": {"addresses": known.get("addresses", [])},
    }


def answering(asked: Sequence[Door]) -> tuple[Door, ...]:
    """Those where somebody is; one that refuses the connection is somebody."""
    with ThreadPoolExecutor(max(1, len(asked)), "knock") as pool:
        found = list(pool.map(_answers, asked))
    return tuple(door for door, answers in zip(asked, found, strict=True) if answers)


def _answers(door: Door) -> bool:
    try:
        with socket.create_connection((door.host, door.port), timeout=_SECONDS):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def unheld(alive: Iterable[Door], fenced: Iterable[Fenced]) -> tuple[Door, ...]:
    """Of those that answer the ones that nothing keeps from serving. Pure.

    A machine is kept from it when its provider has it and sees it off, or away from the load balancer.
    """
    held = {each.name for each in fenced if each.there and (each.off or each.detached)}
    return tuple(door for door in alive if door.node not in held)


HINT = (
    "switch its machines off, then go on with --resume; or say that it is dead: --old-is-dead (nothing looks then, and"
    " two clusters may write)"
)


def refusal(living: Iterable[Door]) -> str:
    """The message where it lives."""
    return f"the old cluster is not dead, and nothing keeps it from serving: {', '.join(map(str, living))} answers"
