"""``reset``: a machine is started anew without being asked, as by its button. It comes back by itself.

The undo is for a machine that does not: it gives it power where it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults import armed
from drkit.drill.faults.power_off import PowerOff
from drkit.errors import FaultFailed, NodeUnreachable

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection
    from drkit.providers.power import Recall

# A container's kernel is its host's: but its first process has a start of its own.
_BOOT = "cat /proc/sys/kernel/random/boot_id; systemctl show --property=UserspaceTimestampMonotonic --value"


class Reset(PowerOff):
    """No options."""

    kind: ClassVar[str] = "reset"

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._node = means.node(injection.target)
        self._before = ""

    def do(self, wanted: Recall) -> str:
        """See ``ProviderFault``."""
        if not self._before:
            self._before = armed.ask(self._node, _BOOT)
        self.power.reset(wanted.server)
        return f"{self.power.name} has reset {wanted.server}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: it has started another time since."""
        if not self._before:
            return ""
        try:
            now = armed.ask(self._node, _BOOT)
        except (NodeUnreachable, FaultFailed):
            return ""  # on its way
        return f"{self.target} has started anew" if now != self._before else ""
