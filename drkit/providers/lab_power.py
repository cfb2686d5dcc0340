"""The power of a lab's machines, and its load balancer's targets: containers that are killed and started."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException

from drkit.errors import ProviderFailed
from drkit.lab import machines, traffic
from drkit.lab.join import RUNNING
from drkit.lab.topology import Role
from drkit.providers.port import HEALTHY, UNHEALTHY, UNKNOWN, TargetHealth
from drkit.providers.power import Lead, Remotely, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from drkit.lab.topology import Topology
    from drkit.providers.power import Recall


class LabPower:
    """See ``Power``. Only this machine can do it: nothing else has its Docker engine.

    Args:
        engine: where the lab is.
        lab: its name.
    """

    name = "the lab"

    def __init__(self, engine: DockerClient, lab: str) -> None:
        self._engine, self._lab = engine, lab

    def has(self, server: str) -> bool:
        """See ``Power``."""
        with self._topology() as lab:
            return machines.find(self._engine, lab, server) is not None

    def is_off(self, server: str) -> bool:
        """See ``Power``."""
        with self._topology() as lab:
            return bool(self._machine(lab, server).status != RUNNING)

    def power_off(self, server: str) -> None:
        """See ``Power``."""
        with self._topology() as lab:
            machines.cut_power(self._machine(lab, server))

    def power_on(self, server: str) -> None:
        """See ``Power``."""
        with self._topology() as lab:
            machines.power_on(self._machine(lab, server))

    def reset(self, server: str) -> None:
        """See ``Power``."""
        with self._topology() as lab:
            found = self._machine(lab, server)
            machines.cut_power(found)
            machines.power_on(found)

    def leads(self, server: str) -> tuple[Lead, ...]:
        """See ``Power``."""
        with self._topology() as lab:
            address = traffic.setting(self._balancer(lab)).targets.get(server)
            named = lab.the(Role.BALANCER).member
            return () if address is None else (Lead(named, {"name": server, "address": address}),)

    def detach(self, lead: Lead) -> None:
        """See ``Power``."""
        self._lead(lambda targets: {name: each for name, each in targets.items() if name != lead.target["name"]})

    def attach(self, lead: Lead) -> None:
        """See ``Power``."""
        self._lead(lambda targets: {**targets, str(lead.target["name"]): str(lead.target["address"])})

    def health(self, server: str) -> tuple[TargetHealth, ...]:
        """See ``Power``."""
        words = {True: HEALTHY, False: UNHEALTHY, None: UNKNOWN}
        with self._topology() as lab:
            container = self._balancer(lab)
            setting, found = traffic.setting(container), traffic.health(container)
        if server not in setting.targets:
            return ()
        return tuple(
            TargetHealth(server, each.listen, words[found.get((server, each.listen))]) for each in setting.services
        )

    def remotely(self, recall: Recall) -> Remotely | None:  # noqa: ARG002 - see the class
        """See ``Power``."""
        return None

    def way(self) -> Way:
        """See ``Power``."""
        return Way("lab", {"lab": self._lab})

    @contextmanager
    def _topology(self) -> Iterator[Topology]:
        try:
            yield machines.lab_of(self._engine, self._lab)
        except DockerException as error:
            raise ProviderFailed(f"the Docker engine refused: {error}", "its own log says more") from error

    def _machine(self, lab: Topology, server: str) -> Container:
        found = machines.find(self._engine, lab, server)
        if found is None:
            raise ProviderFailed(f"the lab {self._lab} has no machine {server}")
        return found

    def _balancer(self, lab: Topology) -> Container:
        return self._engine.containers.get(lab.the(Role.BALANCER).name)

    def _lead(self, changed: Callable[[Mapping[str, str]], dict[str, Any]]) -> None:
        with self._topology() as lab, traffic.alone(self._lab):
            container = self._balancer(lab)
            now = traffic.setting(container)
            wanted = replace(now, targets=changed(now.targets))
            if wanted != now:
                traffic.change(container, wanted)
