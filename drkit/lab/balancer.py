"""The load balancer's configuration: HAProxy, checking its targets as a Hetzner load balancer does. Pure.

Hetzner's rules (its API's documentation): ``interval`` from 3 s, ``timeout`` from 1 s and no longer than the interval;
a target is out after ``retries`` failed checks in a row, and back after as many that succeeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOCKET = "/run/haproxy.sock"
"""Where it answers questions about its targets' health."""

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
    """A port of the load balancer, and the port of its targets."""

    listen: int
    destination: int
    check: Check = Check()


INGRESS = (Service(80, 80), Service(443, 443))


def configuration(services: Sequence[Service], targets: Mapping[str, str]) -> str:
    """HAProxy's configuration file.

    Args:
        services: what it forwards.
        targets: name and address of each target, the same for all services.
    """
    lines = [
        "# drkit lab: a stand-in for a Hetzner load balancer",
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
        lines += [
            f"listen port-{service.listen}",
            f"    bind :{service.listen}",
            "    balance roundrobin",
            # A TCP check has failed when no connection stands within this time.
            f"    timeout connect {check.timeout}s",
            f"    timeout check {check.timeout}s",
            # "fastinter" and "downinter" default to "inter": Hetzner does not ask a failing target more often.
            f"    default-server check inter {check.interval}s fall {check.retries} rise {check.retries}",
        ]
        lines += [f"    server {name} {address}:{service.destination}" for name, address in sorted(targets.items())]
    return "\n".join([*lines, ""])
