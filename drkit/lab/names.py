"""The lab's DNS: dnsmasq answers for the lab's zone and passes everything else on. Pure."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.lab.topology import Topology

HOSTS = "/etc/lab/hosts"
"""A directory of hosts files. dnsmasq watches it: a record that changes is served at once, without a restart."""

RECORDS = f"{HOSTS}/records"
"""The hosts file of what was set since the lab came up; the members' own names are in another."""
_SAID = "# drkit: "
"""Before what a file was made from: whoever changes it begins there."""

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


@dataclass(frozen=True)
class Answers:
    """What the DNS server answers beside its members' names.

    Attributes:
        records: the addresses of each name.
        ttls: what was wished for each, in seconds; all are answered with the lab's own.
        before: of each restore's id, the names that it changed and what each was, as ``[addresses, ttl]``.
    """

    records: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ttls: Mapping[str, int | None] = field(default_factory=dict)
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def hosts_file(answers: Answers) -> str:
    """The hosts file of what was set.

    Raises:
        ValueError: one of the addresses is none.
    """
    lines = [_SAID + json.dumps(asdict(answers), sort_keys=True)]
    for name, addresses in answers.records.items():
        lines += [f"{ipaddress.ip_address(address)} {name}" for address in addresses]
    return "\n".join([*lines, ""])


def answers(file: str) -> Answers:
    """What a hosts file was made from; nothing where there is none yet."""
    said = next((line for line in file.splitlines() if line.startswith(_SAID)), None)
    return Answers() if said is None else Answers(**json.loads(said.removeprefix(_SAID)))
