"""Which fault has which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from drkit.drill.faults.block_client import BlockClient
from drkit.drill.faults.delete_pod import DeletePod
from drkit.drill.faults.detach import Detach
from drkit.drill.faults.drain import Drain
from drkit.drill.faults.fill_disk import FillDisk
from drkit.drill.faults.isolate import Isolate
from drkit.drill.faults.isolate_from_api import IsolateFromApi
from drkit.drill.faults.kill_process import KillProcess
from drkit.drill.faults.power_off import PowerOff
from drkit.drill.faults.press_memory import PressMemory
from drkit.drill.faults.reset import Reset
from drkit.drill.faults.restart_service import RestartService
from drkit.drill.faults.slow_network import SlowNetwork
from drkit.drill.faults.upgrade_k3s import UpgradeK3s
from drkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.drill.faults.means import Means
    from drkit.drill.faults.port import Fault
    from drkit.drill.values import Injection


class Maker(Protocol):
    """How each kind of fault is made."""

    def __call__(self, injection: Injection, means: Means, number: int) -> Fault:
        """The fault. Nothing is done yet."""
        ...


KINDS: Mapping[str, Maker] = {
    "power-off": PowerOff,
    "reset": Reset,
    "detach": Detach,
    "isolate": Isolate,
    "isolate-from-api": IsolateFromApi,
    "block-client": BlockClient,
    "slow-network": SlowNetwork,
    "fill-disk": FillDisk,
    "press-memory": PressMemory,
    "kill-process": KillProcess,
    "restart-service": RestartService,
    "upgrade-k3s": UpgradeK3s,
    "delete-pod": DeletePod,
    "drain": Drain,
}


def make(injection: Injection, means: Means, number: int = 0) -> Fault:
    """The fault that an injection asks for. Nothing is done yet.

    Args:
        injection: resolved for this cluster.
        means: what it is done with.
        number: the injection's place in its drill, which no other of the drill has.

    Raises:
        UsageError: there is no such kind of fault.
        PreflightFailed: something that it is done with is not there.
    """
    maker = KINDS.get(injection.fault)
    if maker is None:
        raise UsageError(f"there is no fault {injection.fault!r}", f"there are: {', '.join(sorted(KINDS))}")
    return maker(injection, means, number)
