"""What the stand-in offers: a few of Hetzner's server types, locations and images, in the API's form. Pure."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]

ZONES = {"nbg1": "eu-central", "fsn1": "eu-central", "hel1": "eu-central", "ash": "us-east"}
_CITIES = {"nbg1": "Nuremberg", "fsn1": "Falkenstein", "hel1": "Helsinki", "ash": "Ashburn, VA"}
_TYPES = {
    # name: processors, memory and disk in GB, architecture
    "cax11": (2, 4, 40, "arm"),
    "cax21": (4, 8, 80, "arm"),
    "cx22": (2, 4, 40, "x86"),
    "cx32": (4, 8, 80, "x86"),
}
_BALANCER_TYPES = {"lb11": (5, 25), "lb21": (15, 75)}
_IMAGES = ("debian-12", "debian-13", "ubuntu-24.04")
_ARCHITECTURES = ("x86", "arm")


def locations() -> list[Raw]:
    """All locations."""
    return [
        {
            "id": number,
            "name": name,
            "description": _CITIES[name],
            "city": _CITIES[name],
            "country": "US" if zone.startswith("us") else "DE",
            "latitude": 0.0,
            "longitude": 0.0,
            "network_zone": zone,
        }
        for number, (name, zone) in enumerate(ZONES.items(), 1)
    ]


def server_types(sold_out: set[tuple[str, str]]) -> list[Raw]:
    """All server types; those in ``sold_out`` (type, location) are not to be had now."""
    return [
        {
            "id": number,
            "name": name,
            "description": name.upper(),
            "cores": cores,
            "memory": float(memory),
            "disk": disk,
            "architecture": architecture,
            "category": "Shared",
            "cpu_type": "shared",
            "storage_type": "local",
            "deprecated": False,
            "deprecation": None,
            "prices": [_price(location) for location in ZONES],
            "locations": [
                {
                    "id": place,
                    "name": location,
                    "deprecation": None,
                    "available": (name, location) not in sold_out,
                    "recommended": True,
                }
                for place, location in enumerate(ZONES, 1)
            ],
        }
        for number, (name, (cores, memory, disk, architecture)) in enumerate(_TYPES.items(), 1)
    ]


def _price(location: str) -> Raw:
    price = {"net": "0.0000", "gross": "0.0000"}
    return {
        "location": location,
        "price_hourly": price,
        "price_monthly": price,
        "included_traffic": 0,
        "price_per_tb_traffic": price,
    }


def balancer_types() -> list[Raw]:
    """All types of load balancers."""
    return [
        {
            "id": number,
            "name": name,
            "description": name.upper(),
            "max_connections": 10000,
            "max_services": services,
            "max_targets": targets,
            "max_assigned_certificates": 10,
            "deprecated": None,
            "prices": [_price(location) for location in ZONES],
        }
        for number, (name, (services, targets)) in enumerate(_BALANCER_TYPES.items(), 1)
    ]


def images() -> list[Raw]:
    """All images: each once for each architecture."""
    named = [(name, architecture) for name in _IMAGES for architecture in _ARCHITECTURES]
    return [
        {
            "id": number,
            "type": "system",
            "status": "available",
            "name": name,
            "description": name,
            "image_size": None,
            "disk_size": 5,
            "created": "2025-01-01T00:00:00Z",
            "created_from": None,
            "bound_to": None,
            "os_flavor": name.partition("-")[0],
            "os_version": name.partition("-")[2],
            "rapid_deploy": True,
            "protection": {"delete": False},
            "deprecated": None,
            "deleted": None,
            "labels": {},
            "architecture": architecture,
        }
        for number, (name, architecture) in enumerate(named, 1)
    ]
