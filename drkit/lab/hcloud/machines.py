"""The port: where the stand-in's servers come from, what its load balancers do, and who answers for its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.lab.balancer import Service


@dataclass(frozen=True)
class Addresses:
    """Where a machine is reached. ``network`` is the IPv6 network of a server, where it has one."""

    public: str
    private: str
    network: str | None = None


@dataclass(frozen=True)
class MachineSpec:
    """A server that is to be made: the API's number and name for it, who may log in, and what it is told."""

    id: int
    name: str
    addresses: Addresses
    authorized_keys: tuple[str, ...]
    user_data: str
    labels: Mapping[str, str]


class Machines(Protocol):
    """The machines of one project. Calls for different machines come at once, those for one after the other.

    All raise ``DrkitError`` where it does not work: the action that asked for it then fails.
    """

    def reserve(self, name: str) -> Addresses:
        """Addresses for a machine or load balancer of that name, which nobody else has."""
        ...

    def create(self, spec: MachineSpec) -> None:
        """Make a machine that does not run yet."""
        ...

    def start(self, number: int) -> None:
        """Power it on."""
        ...

    def stop(self, number: int) -> None:
        """Cut its power."""
        ...

    def rename(self, number: int, name: str) -> None:
        """Call it something else; what runs on it is not told."""
        ...

    def remove(self, number: int) -> None:
        """Take it away with its disks."""
        ...

    def balance(self, number: int, address: str, services: Sequence[Service], targets: Mapping[int, str]) -> None:
        """Have a load balancer forward to these machines.

        Args:
            number: of the load balancer; one that is not there yet is made.
            address: that it was promised.
            services: what it forwards.
            targets: the address of each machine, by its number.
        """
        ...

    def remove_balancer(self, number: int) -> None:
        """Take a load balancer away."""
        ...

    def health(self, number: int) -> Mapping[tuple[int, int], bool]:
        """For each machine and port that a load balancer listens on: whether its checks succeed. Unknown ones lack."""
        ...

    def answer(self, records: Mapping[str, Sequence[str]]) -> None:
        """Answer for exactly these names, with these addresses."""
        ...
