"""Machines that exist in memory alone: for tests of what a client does."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from drkit.errors import DrkitError
from drkit.lab.hcloud.machines import Addresses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drkit.lab.balancer import Service
    from drkit.lab.hcloud.machines import MachineSpec


class MemoryMachines:
    """See ``Machines``. Addresses are those that belong to nobody (RFC 5737, RFC 3849)."""

    def __init__(self) -> None:
        self.specs: dict[int, MachineSpec] = {}
        self.running: set[int] = set()
        self.names: dict[str, tuple[str, ...]] = {}
        self.balanced: dict[int, tuple[tuple[Service, ...], dict[int, str]]] = {}
        self.well = True
        """Whether what runs answers health checks."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def reserve(self, name: str) -> Addresses:  # noqa: ARG002 - they are given out in order
        """See ``Machines``."""
        with self._lock:
            number = next(self._numbers)
        return Addresses(f"192.0.2.{number}", f"10.0.0.{number + 1}", f"2001:db8:0:{number:x}::/64")

    def create(self, spec: MachineSpec) -> None:
        """See ``Machines``."""
        self.specs[spec.id] = spec

    def start(self, number: int) -> None:
        """See ``Machines``."""
        if number not in self.specs:
            raise DrkitError(f"there is no machine {number}")
        self.running.add(number)

    def stop(self, number: int) -> None:
        """See ``Machines``."""
        self.running.discard(number)

    def rename(self, number: int, name: str) -> None:
        """Names are the project's alone."""

    def remove(self, number: int) -> None:
        """See ``Machines``."""
        self.running.discard(number)
        self.specs.pop(number, None)

    def balance(self, number: int, address: str, services: Sequence[Service], targets: Mapping[int, str]) -> None:  # noqa: ARG002 - nothing answers there
        """See ``Machines``."""
        self.balanced[number] = (tuple(services), dict(targets))

    def remove_balancer(self, number: int) -> None:
        """See ``Machines``."""
        self.balanced.pop(number, None)

    def health(self, number: int) -> Mapping[tuple[int, int], bool]:
        """See ``Machines``."""
        services, targets = self.balanced.get(number, ((), {}))
        return {
            (target, service.listen): self.well and target in self.running for service in services for target in targets
        }

    def answer(self, records: Mapping[str, Sequence[str]]) -> None:
        """See ``Machines``."""
        self.names = {name: tuple(values) for name, values in records.items()}
