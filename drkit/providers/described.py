"""What Hetzner's API says of things that were there, as the values of what is wanted. Pure.

Source: docs.hetzner.cloud, whose documents a backup keeps as they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drkit.providers.values import (
    HealthCheck,
    Route,
    Rule,
    Service,
    Subnet,
    WantedBalancer,
    WantedFirewall,
    WantedNetwork,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    Raw = Mapping[str, Any]


def location(raw: Raw) -> Raw:
    """The location of a server; it stood in ``datacenter`` alone before ``location`` came beside it."""
    return raw.get("location") or (raw.get("datacenter") or {}).get("location") or {}


def network(raw: Raw) -> WantedNetwork:
    """A network as the API describes it."""
    return WantedNetwork(
        raw["name"],
        raw["ip_range"],
        tuple(
            Subnet(each["ip_range"], each["network_zone"], each["type"])
            for each in raw.get("subnets", ())
            # A vSwitch couples to servers elsewhere, by an order that the API does not take.
            if each["type"] != "vswitch"
        ),
        tuple(Route(each["destination"], each["gateway"]) for each in raw.get("routes", ())),
    )


def firewall(raw: Raw) -> WantedFirewall:
    """A firewall as the API describes it."""
    return WantedFirewall(
        raw["name"],
        tuple(
            Rule(
                each["direction"],
                each["protocol"],
                each.get("port"),
                tuple(each.get("source_ips") or ()),
                tuple(each.get("destination_ips") or ()),
                each.get("description"),
            )
            for each in raw.get("rules", ())
        ),
    )


def balancer(raw: Raw, wished: str | None, targets: tuple[str, ...]) -> WantedBalancer:
    """A load balancer as the API describes it, with other targets.

    Args:
        raw: it.
        wished: the location that it shall be in; none for its own.
        targets: the servers behind it.
    """
    selectors = [each["label_selector"]["selector"] for each in raw.get("targets", ()) if "label_selector" in each]
    return WantedBalancer(
        name=raw["name"],
        kind=(raw.get("load_balancer_type") or {}).get("name", ""),
        location=wished or (raw.get("location") or {}).get("name", ""),
        algorithm=(raw.get("algorithm") or {}).get("type", "round_robin"),
        services=tuple(_service(each) for each in raw.get("services", ())),
        targets=targets,
        selector=selectors[0] if selectors else "",
        private=any(each.get("use_private_ip") for each in raw.get("targets", ())),
        public=bool((raw.get("public_net") or {}).get("enabled", True)),
    )


def _service(raw: Raw) -> Service:
    check = raw["health_check"]
    return Service(
        raw["protocol"],
        raw["listen_port"],
        raw["destination_port"],
        HealthCheck(
            check["protocol"], check["port"], check["interval"], check["timeout"], check["retries"], check.get("http")
        ),
        bool(raw.get("proxyprotocol")),
        raw.get("http"),
    )
