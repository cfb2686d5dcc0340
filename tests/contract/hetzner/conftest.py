"""A stand-in for each test, and the provider that talks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from tests.contract.hetzner.steps import TOKEN, hetzner
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.hetzner import HetznerProvider


@pytest.fixture
def machines() -> MemoryMachines:
    """Where the stand-in's servers are."""
    return MemoryMachines()


@pytest.fixture
def api(machines: MemoryMachines) -> Iterator[StandIn]:
    """A stand-in with an empty project."""
    with serving(machines, TOKEN) as running:
        yield running


@pytest.fixture
def heard() -> Heard:
    """What a provider tells."""
    return Heard()


@pytest.fixture
def provider(api: StandIn, heard: Heard) -> HetznerProvider:
    """The provider under test."""
    return hetzner(api, heard)
