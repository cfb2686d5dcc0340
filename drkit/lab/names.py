"""The lab's DNS: dnsmasq answers for the lab's zone and passes everything else on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.lab.topology import Topology

HOSTS = "/etc/lab/hosts"
"""A directory of hosts files. dnsmasq watches it: a record that changes is served at once, without a restart."""

TTL_SECONDS = 10
"""Short, so that a rehearsed move to another load balancer is seen within seconds."""


def configuration(topology: Topology) -> str:
    """Dnsmasq's configuration file."""
    lines = [
        "# drkit lab: the lab's DNS server",
        "no-hosts",
        "no-resolv",
        f"hostsdir={HOSTS}",
        f"local=/{topology.zone}/",
        f"local-ttl={TTL_SECONDS}",
        # Docker's own resolver, which asks the machine's: names outside the lab.
        "server=127.0.0.11",
    ]
    return "\n".join([*lines, ""])


def hosts(topology: Topology) -> str:
    """The hosts file of the lab's members: ``server-1.<lab>.test`` and so on."""
    members = {container.member: container.address for container in topology.containers}
    return records({f"{member}.{topology.zone}": address for member, address in members.items()})


def records(addresses: Mapping[str, str]) -> str:
    """A hosts file: an address and a name a line."""
    return "".join(f"{address} {name}\n" for name, address in addresses.items())
