"""``detach``: the load balancer no longer has a node as its target; the node itself goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from drkit.drill.faults.by_provider import ProviderFault
from drkit.providers.power import Recall

if TYPE_CHECKING:
    from drkit.drill.faults.means import Means
    from drkit.drill.values import Injection


class Detach(ProviderFault):
    """No options. A target by a label selector, which means others too, cannot be taken away alone."""

    kind: ClassVar[str] = "detach"
    dies: ClassVar[bool] = False

    def __init__(self, injection: Injection, means: Means, number: int) -> None:
        super().__init__(injection, means, number)
        self._was: Recall | None = None

    def impossible(self) -> str:
        """See ``ProviderFault``."""
        if said := super().impossible():
            return said
        return "" if self.power.leads(self.target) else f"{self.target} is no load balancer's target by its own name"

    def recall(self) -> Recall:
        """See ``ProviderFault``."""
        return Recall(self.target, self.power.leads(self.target))

    def do(self, wanted: Recall) -> str:
        """See ``ProviderFault``."""
        self._was = wanted
        for each in wanted.leads:
            self.power.detach(each)
        return f"{self.power.name} has taken {self.target} from {', '.join(each.balancer for each in wanted.leads)}"

    def confirm(self) -> str:
        """See ``Fault.confirm``: no load balancer names it, nor checks it."""
        if self._was is None or not self._was.leads:
            return ""
        if self.power.leads(self.target) or self.power.health(self.target):
            return ""
        return f"no load balancer has {self.target} as its target"
