"""What outside depends on a cluster, and has to be issued or entered anew after its machines changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.restore.wanted import MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from drkit.providers.values import WantedFirewall


def of_machine(node: str, before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """What names one machine's addresses.

    Args:
        node: the old node whose place it takes; empty where there was none.
        before: that one's addresses.
        now: its own.
    """
    gone = [each for each in before if each not in now]
    if gone:
        new = ", ".join(now)
        yield f"firewall entries, allow-lists and known_hosts that name {node} ({', '.join(gone)}): it is {new} now"


def of_firewalls(
    firewalls: Iterable[WantedFirewall], node: str, before: Collection[str], now: Sequence[str]
) -> Iterator[str]:
    """What of the provider's own firewalls names a machine's old addresses.

    Until they let in the new ones as well, the machines may not reach each other: a cluster without a private network
    lets its nodes in by their public addresses.

    Args:
        firewalls: those that are adopted, or made again as they were.
        node: the old node whose place the machine takes.
        before: that one's addresses.
        now: the machine's own.
    """
    gone = set(before) - set(now)
    for each in firewalls:
        ranges = {one for rule in each.rules for one in (*rule.source_ips, *rule.destination_ips)}
        named = sorted(one for one in ranges if one.removesuffix("/32").removesuffix("/128") in gone)
        if named:
            new = ", ".join(now)
            yield f"the firewall {each.name} names {', '.join(named)}, which was {node}'s: let in {new} as well"


def of_cluster(mode: str, first: Sequence[str]) -> Iterator[str]:
    """What names the cluster's API.

    Args:
        mode: of the restore.
        first: the first server's addresses.
    """
    api = ", ".join(first)
    if mode == MANIFESTS:
        yield f"every kubeconfig, such as CI's: the cluster has new certificates, and its API is at {api}"
        yield "tokens of service accounts that were copied out of the cluster: none of them is valid any more"
    else:
        yield f"every kubeconfig, such as CI's, that names a server's address: the API is at {api}"
    yield "drkit.yaml: cluster (servers, kubeconfig), where it names the old machines"
