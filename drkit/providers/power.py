"""The port: who has the machines' power, and what leads to them: drills take both away, and give them back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from drkit.errors import ProviderFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drkit.observe.progress import Reporter
    from drkit.providers.port import TargetHealth

PATIENCE_SECONDS = 60.0
"""How long a request about a machine is tried: a drill's fault that comes later than that is none."""


@dataclass(frozen=True)
class Lead:
    """A load balancer that has a machine as its target, and how: what ``attach`` needs."""

    balancer: str
    target: Mapping[str, Any]


@dataclass(frozen=True)
class Recall:
    """What has to be put right about a machine: its power, and what led to it. Holds no secret."""

    server: str
    leads: tuple[Lead, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For a file; ``recall_from_json`` is the inverse."""
        return asdict(self)


def recall_from_json(data: Mapping[str, Any]) -> Recall:
    """The inverse of ``Recall.as_json``.

    Raises:
        ValueError: it is none.
    """
    try:
        leads = tuple(Lead(str(each["balancer"]), dict(each["target"])) for each in data["leads"])
        return Recall(str(data["server"]), leads)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no recall: {error}") from None


@dataclass(frozen=True)
class Remotely:
    """A recall as a shell script that another machine can run.

    Attributes:
        script: the body of a shell function that fails where it could not. It reads the file ``header``, which is
            beside it, and says nothing of it.
        header: that file's content; a secret.
    """

    script: str
    header: str = field(repr=False)


@dataclass(frozen=True)
class Way:
    """What another process needs to do the same: a provider's name and its arguments, the token among them."""

    provider: str
    arguments: Mapping[str, str] = field(repr=False)


class Power(Protocol):
    """The machines' power, and the load balancer's targets. Each call may be made again, and ends the same.

    Machines are called by the provider's own names, which are those of the cluster's nodes.

    All calls raise:
        ProviderFailed: the provider refuses, or does not answer within the bound.
    """

    @property
    def name(self) -> str:
        """As people call it."""
        ...

    def has(self, server: str) -> bool:
        """Whether there is such a machine."""
        ...

    def is_off(self, server: str) -> bool:
        """Whether it has no power."""
        ...

    def power_off(self, server: str) -> None:
        """Take its power away, as if the cord were pulled; one that is off stays off."""
        ...

    def power_on(self, server: str) -> None:
        """Give it power; one that runs goes on."""
        ...

    def reset(self, server: str) -> None:
        """Start it anew without asking it."""
        ...

    def leads(self, server: str) -> tuple[Lead, ...]:
        """What leads to it: it alone, not those that mean others too, such as label selectors."""
        ...

    def detach(self, lead: Lead) -> None:
        """Take a machine away from a load balancer; one that is not there is fine."""
        ...

    def attach(self, lead: Lead) -> None:
        """Put it back; one that is there is fine."""
        ...

    def health(self, server: str) -> tuple[TargetHealth, ...]:
        """How load balancers find it; nothing where it is the target of none."""
        ...

    def remotely(self, recall: Recall) -> Remotely | None:
        """The same from another machine; None where no other can do it."""
        ...

    def way(self) -> Way:
        """The same from another process of this machine."""
        ...


def recall(power: Power, wanted: Recall) -> str:
    """Put a machine right, and return what was done about it.

    Raises:
        ProviderFailed: it could not be done.
    """
    if wanted.leads:
        there = power.leads(wanted.server)
        back = [each for each in wanted.leads if each not in there]
        for each in back:
            power.attach(each)
        named = ", ".join(each.balancer for each in back)
        return f"{wanted.server} is a target of {named} again" if back else f"{wanted.server} was a target already"
    if not power.is_off(wanted.server):
        return f"{wanted.server} has its power"
    power.power_on(wanted.server)
    return f"{wanted.server} has its power again"


def power_of(way: Way, reporter: Reporter) -> Power:
    """What ``Power.way`` described.

    Raises:
        ProviderFailed: there is no such provider.
        PreflightFailed: no Docker engine answers, which a lab needs.
    """
    # What only one of the providers needs takes long to load.
    match way.provider:
        case "hetzner":
            from drkit.providers.hcloud.power import HetznerPower  # noqa: PLC0415 - see above

            return HetznerPower(way.arguments["token"], way.arguments["endpoint"], reporter)
        case "lab":
            from drkit.lab import engine  # noqa: PLC0415 - see above
            from drkit.providers.lab_power import LabPower  # noqa: PLC0415 - see above

            return LabPower(engine.connect(), way.arguments["lab"])
        case _:
            raise ProviderFailed(f"there is no provider {way.provider}")
