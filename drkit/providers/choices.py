"""Where a server can be made, and of which type: what was asked for, and what may be taken instead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.providers.values import Alternative, WantedServer


@dataclass(frozen=True)
class Choice:
    """A server type in a location."""

    server_type: str
    location: str

    def __str__(self) -> str:
        return f"{self.server_type} in {self.location}"


@dataclass(frozen=True)
class Catalogue:
    """What the provider offers.

    Attributes:
        architectures: of each server type.
        zones: the network zone of each location.
        available: the server types that each location has now.
    """

    architectures: Mapping[str, str]
    zones: Mapping[str, str]
    available: Mapping[str, frozenset[str]]


def choices(
    server: WantedServer, alternatives: Sequence[Alternative], catalogue: Catalogue, zones: Iterable[str] | None = None
) -> tuple[Choice, ...]:
    """What to try for a server, in this order. The first is what was asked for.

    Args:
        server: what was asked for.
        alternatives: what may be taken instead.
        catalogue: what there is.
        zones: the network zones of the network that it shall be in; None where it shall be in none.

    Raises:
        ConfigurationError: one of them does not exist, is of another CPU architecture than the first (the images and
            programs that come out of the backup would not run), or in a network zone where the network is not.
    """
    first = Choice(server.server_type, server.location)
    found = [first]
    for each in alternatives:
        choice = Choice(each.server_type or first.server_type, each.location or first.location)
        if choice not in found:
            found.append(choice)
    wanted = None
    for choice in found:
        _see(choice, server.name, catalogue, None if zones is None else set(zones))
        architecture = catalogue.architectures[choice.server_type]
        if architecture != (wanted := wanted or architecture):
            raise ConfigurationError(
                f"{server.name}: {choice.server_type} is {architecture}, and {first.server_type} is {wanted}:"
                " an alternative does not change the CPU architecture",
                f"name server types that are {wanted}: {_named(catalogue, wanted)}",
            )
    return tuple(found)


def _see(choice: Choice, name: str, catalogue: Catalogue, zones: set[str] | None) -> None:
    if choice.server_type not in catalogue.architectures:
        known = ", ".join(sorted(catalogue.architectures))
        raise ConfigurationError(f"{name}: there is no server type {choice.server_type}", f"there are: {known}")
    if choice.location not in catalogue.zones:
        known = ", ".join(sorted(catalogue.zones))
        raise ConfigurationError(f"{name}: there is no location {choice.location}", f"there are: {known}")
    zone = catalogue.zones[choice.location]
    if zones is not None and zone not in zones:
        there = ", ".join(sorted(zones)) or "none"
        raise ConfigurationError(
            f"{name}: {choice.location} is in the network zone {zone}, and the network has subnets in {there}",
            "choose a location of that zone, or add a subnet to the network",
        )


def _named(catalogue: Catalogue, architecture: str) -> str:
    return ", ".join(sorted(name for name, each in catalogue.architectures.items() if each == architecture))
