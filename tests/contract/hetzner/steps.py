"""What a restore asks of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drkit.providers.hetzner import HetznerProvider
from drkit.providers.port import Record
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from drkit.lab.hcloud.serve import StandIn
    from drkit.providers.port import Server
    from drkit.providers.values import Wanted


TOKEN = "a-token-for-tests"
APEX = "docfast.dev"


def hetzner(api: StandIn, heard: Heard | None = None, **more: float) -> HetznerProvider:
    """A provider that asks often, because the stand-in's actions are short."""
    return HetznerProvider(api.token, api.endpoint, heard or Heard(), **{"patience": 20.0, "pause": 0.005, **more})


def all_of_it(provider: HetznerProvider, wanted: Wanted, *, power_off: bool = True) -> list[Server]:
    """Everything that a restore asks of a provider, in its order."""
    provider.check(wanted)
    provider.foundation(wanted)
    made = [provider.server(wanted, each.name) for each in wanted.servers]
    provider.fence(wanted, power_off=power_off)
    provider.balancer(wanted)
    provider.point(wanted.restore_id, Record(APEX, "A", ("198.51.100.9",)))
    provider.point(wanted.restore_id, Record(f"www.{APEX}", "A", ("198.51.100.9",)))
    return made
