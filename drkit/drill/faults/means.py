"""What faults are done with: how the cluster's machines, its API and its provider are reached."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit.errors import PreflightFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from drkit.cluster.kube import Api
    from drkit.cluster.node import Node
    from drkit.drill.faults.watchdog import Watchdog
    from drkit.providers.power import Power

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,150}")
"""What the name of a systemd unit, a file and an nftables table can be made from."""


@dataclass(frozen=True)
class Means:
    """What one drill's faults are done with.

    Attributes:
        run: the drill's id; every unit, file and table that a fault leaves on a machine is called by it.
        cluster: its name: what is noted on this machine is told from another cluster's by it.
        nodes: how each machine is logged in to, by the name that the cluster has for it.
        servers: the names of those that run the control plane; faults of the API arm their undo there.
        kube: the cluster's API.
        power: who has the machines' power and the load balancer.
        watchdog: where the undo waits for hosts that are off meanwhile.
        unwatched: whether such a fault may be done without one.
        k3s_binary: the program that ``upgrade-k3s`` puts in place.
    """

    run: str
    cluster: str
    nodes: Mapping[str, Node]
    servers: tuple[str, ...] = ()
    kube: Api | None = field(default=None, repr=False)
    power: Power | None = field(default=None, repr=False)
    watchdog: Watchdog | None = field(default=None, repr=False)
    unwatched: bool = False
    k3s_binary: Path | None = None

    def __post_init__(self) -> None:
        if _RUN.fullmatch(self.run) is None:
            raise ValueError(f"no run's id: {self.run!r}")

    def name(self, number: int) -> str:
        """What the drill's injection ``number`` is called on machines."""
        return f"{self.run}-{number}"

    def node(self, name: str) -> Node:
        """How a machine is logged in to.

        Raises:
            PreflightFailed: nobody said.
        """
        found = self.nodes.get(name)
        if found is None:
            raise PreflightFailed(f"nobody said how {name} is logged in to", "see cluster.ssh in drkit.yaml")
        return found

    def api(self) -> Api:
        """The cluster's API.

        Raises:
            PreflightFailed: there is none to ask.
        """
        if self.kube is None:
            raise PreflightFailed("the cluster's API is not known", "see cluster.kubeconfig in drkit.yaml")
        return self.kube

    def provider(self) -> Power:
        """Who has the machines' power.

        Raises:
            PreflightFailed: nobody is known.
        """
        if self.power is None:
            raise PreflightFailed(
                "nobody is known who has these machines' power and load balancer",
                "cluster.token in drkit.yaml names a Hetzner project",
            )
        return self.power
