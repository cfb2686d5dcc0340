"""The load balancer's configuration: HAProxy, checking its targets as a Hetzner load balancer does. Pure.

Hetzner's rules (its API's documentation): ``interval`` from 3 s, ``timeout`` from 1 s and no longer than the interval;
a target is out after ``retries`` failed checks in a row, and back after as many that succeeded.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from drkit.errors import DrkitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOCKET = "/run/haproxy.sock"
"""Where it answers questions about its targets' health."""

FILE = "/etc/haproxy/haproxy.cfg"
_SAID = "# drkit: "
"""Before what the configuration was made from: whoever changes it begins there."""

SHORTEST_INTERVAL = 3
SHORTEST_TIMEOUT = 1


@dataclass(frozen=True)
class Check:
    """A TCP health check; times in seconds. The defaults are the reference cluster's.

    Raises:
        ValueError: Hetzner would refuse it.
    """

    interval: int = 15
    timeout: int = 10
    retries: int = 3

    def __post_init__(self) -> None:
        if self.interval < SHORTEST_INTERVAL or not SHORTEST_TIMEOUT <= self.timeout <= self.interval:
            raise ValueError(f"interval {self.interval} s, timeout {self.timeout} s")
        if self.retries < 1:
            raise ValueError(f"{self.retries} retries")


@dataclass(frozen=True)
class Service:
    """A port of the load balancer, and the port of its targets.

    Attributes:
        proxy: whether targets are told of the client in PROXY protocol.
        checked: the port that is checked; the targets' own where it is 0.
    """

    listen: int
    destination: int
    check: Check = Check()
    proxy: bool = False
    checked: int = 0


INGRESS = (Service(80, 80), Service(443, 443))


@dataclass(frozen=True)
class Setting:
    """What a load balancer does.

    Attributes:
        services: what it forwards.
        targets: name and address of each target, the same for all services.
        before: the targets that it had before a restore changed them, by the restore's id.
    """

    services: tuple[Service, ...]
    targets: Mapping[str, str]
    before: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def configuration(
    services: Sequence[Service], targets: Mapping[str, str], before: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    """HAProxy's configuration file; see ``Setting``, which comes back from it."""
    made_from = asdict(Setting(tuple(services), dict(targets), dict(before or {})))
    lines = [
        "# drkit lab: a stand-in for a Hetzner load balancer",
        _SAID + json.dumps(made_from, sort_keys=True),
        "global",
        "    log stdout format raw local0 notice",
        f"    stats socket {SOCKET} mode 600 level admin",
        "    maxconn 4096",
        "defaults",
        "    mode tcp",
        "    log global",
        "    option dontlognull",
        "    timeout client 5m",
        "    timeout server 5m",
    ]
    for service in services:
        check = service.check
        more = f" port {service.checked}" if service.checked else ""
        more += " send-proxy-v2" if service.proxy else ""
        lines += [
            f"listen port-{service.listen}",
            f"    bind :{service.listen}",
            "    balance roundrobin",
            # A TCP check has failed when no connection stands within this time.
            f"    timeout connect {check.timeout}s",
            f"    timeout check {check.timeout}s",
            # "fastinter" and "downinter" default to "inter": Hetzner does not ask a failing target more often.
            f"    default-server check inter {check.interval}s fall {check.retries} rise {check.retries}{more}",
        ]
        lines += [f"    server {name} {address}:{service.destination}" for name, address in sorted(targets.items())]
    return "\n".join([*lines, ""])


def setting(configured: str) -> Setting:
    """What a configuration file was made from.

    Raises:
        DrkitError: it is none that ``configuration`` wrote.
    """
    said = next((line for line in configured.splitlines() if line.startswith(_SAID)), None)
    if said is None:
        raise DrkitError("the lab's load balancer was set up by another version of drkit", "drkit lab down, then up")
    read = json.loads(said.removeprefix(_SAID))
    services = (Service(**{**each, "check": Check(**each["check"])}) for each in read["services"])
    return Setting(tuple(services), read["targets"], read["before"])


def health(statistics: str) -> dict[tuple[str, int], bool]:
    """Whether the checks of each target succeed, for each port that it listens on; those not checked yet lack.

    Args:
        statistics: what HAProxy answers to ``show stat`` (its management guide, 9.1: CSV).
    """
    found = {}
    for row in csv.DictReader(statistics.removeprefix("# ").splitlines()):
        section, name, status = row["pxname"], row["svname"], row["status"]
        if section.startswith("port-") and name not in {"FRONTEND", "BACKEND"} and row["check_status"] != "INI":
            found[name, int(section.removeprefix("port-"))] = status.startswith("UP")
    return found
