"""``power-off``: a machine loses its power, and gets it back."""

from __future__ import annotations

from typing import ClassVar

from drkit.drill.faults.by_provider import ProviderFault
from drkit.providers.power import Recall


class PowerOff(ProviderFault):
    """No options."""

    kind: ClassVar[str] = "power-off"
    dies: ClassVar[bool] = True

    def impossible(self) -> str:
        """See ``ProviderFault``."""
        return super().impossible() or (f"{self.target} is off already" if self.power.is_off(self.target) else "")

    def recall(self) -> Recall:
        """See ``ProviderFault``."""
        return Recall(self.target)

    def do(self, wanted: Recall) -> str:
        """See ``ProviderFault``."""
        self.power.power_off(wanted.server)
        return f"{self.power.name} has powered {wanted.server} off"

    def confirm(self) -> str:
        """See ``Fault.confirm``: whoever has its power finds it off."""
        return f"{self.target} is off" if self.power.is_off(self.target) else ""
