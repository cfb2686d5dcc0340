"""What the actions on machines and traffic share: the provider, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drkit.cluster import kubeconfig
from drkit.providers import find
from drkit.providers.wanted import rehearsed
from drkit.providers.wanted import wanted as wanted_of
from drkit.restore import alive, sealed
from drkit.restore.machines import made_by
from drkit.restore.wanted import AGENT, SERVER, SSH
from drkit.topology import nodes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from drkit.config.model import Target
    from drkit.providers.port import Provider
    from drkit.providers.values import Wanted
    from drkit.restore.engine.plan import Plan
    from drkit.restore.machines import Machines
    from drkit.restore.rebuild import Means


@dataclass(frozen=True)
class Ground:
    """It.

    Attributes:
        means: of the restore.
        machines: the ways to the machines.
        provider: who has them.
        wanted: what there shall be.
        topology: the document of the source ``topology``; empty where there is none.
    """

    means: Means
    machines: Machines
    provider: Provider
    wanted: Wanted
    topology: Mapping[str, Any]

    @property
    def replace(self) -> bool:
        """Whether new servers take over the names of the old ones."""
        return self.wanted.replace

    def name_of(self, machine: str) -> str:
        """What the provider calls a machine of the plan."""
        return next(each.name for each in self.wanted.servers if each.was == machine)

    def old_addresses(self, machine: str) -> list[str]:
        """The addresses of the old node whose place a machine takes."""
        node = self.machines.steps[machine].details["node"]
        listed = (each for each in self.topology.get("nodes") or () if each["name"] == node)
        known: Mapping[str, Any] = next(listed, {})
        found = known.get("addresses") or ()
        return [each["address"] for each in found if each["type"] in {"ExternalIP", "InternalIP"}]

    def old_interfaces(self, machine: str) -> set[str]:
        """The addresses that this node itself had, where it was asked: its public one need not be the cluster's."""
        return nodes.own_addresses(
            (self.topology.get("hosts") or {}).get(self.machines.steps[machine].details["node"], {})
        )

    @property
    def given(self) -> frozenset[str]:
        """The addresses of hosts that the target names; old machines that were set up anew may be among them."""
        target = self.means.config.clusters[self.means.plan.target]
        named = (each.address for each in (*target.servers, *target.agents) if not isinstance(each, str))
        return frozenset(address for address in named if address)

    def still_alive(self, new: Collection[str]) -> tuple[tuple[alive.Door, ...], tuple[alive.Door, ...]]:
        """Where the old cluster would answer, and where somebody does.

        Args:
            new: addresses that are the new machines'.
        """
        config = self.means.config.cluster
        given = config.kubeconfig
        api = kubeconfig.read(given).server if isinstance(given, Path) and given.exists() else ""
        asked = alive.doors(config, api, self.topology, new)
        return asked, alive.answering(asked)


def ground(means: Means, machines: Machines, restore: str) -> Ground:
    """It for one restore.

    Raises:
        ConfigurationError: the target does not say what to make, or with which key.
        VerificationFailed: the topology is not what was sealed.
    """
    name = means.plan.target
    topology = sealed.topology(means.vaults, means.sources.get(sealed.TOPOLOGY))
    wanted = wanted_by(means.plan, means.config.clusters[name], topology, restore, machines.public_keys())
    return Ground(means, machines, find.provider(means.config, name, means.reporter), wanted, topology)


def wanted_by(plan: Plan, target: Target, topology: Mapping[str, Any], restore: str, keys: Sequence[str]) -> Wanted:
    """What a plan's machines and their surroundings shall be. Pure.

    Args:
        plan: it.
        target: the configuration's, of the plan's name.
        topology: the document of the source ``topology``; empty where there is none.
        restore: the restore's id.
        keys: the public keys that may log in.

    Raises:
        ConfigurationError: the target does not say what to make.
    """
    steps = made_by(plan)
    by_role = {role: [each for each, step in steps.items() if step.details["role"] == role] for role in (SERVER, AGENT)}
    # The plan has named them all; a target may leave that to the backup.
    named = {"provider": target.provider or SSH, "servers": by_role[SERVER], "agents": by_role[AGENT]}
    made = wanted_of(
        topology,
        target.model_copy(update=named),
        restore,
        keys,
        section=f"clusters.{plan.target}",
        replace=any(step.details["replace"] for step in steps.values()),
        stands_for={each: step.details["node"] for each, step in steps.items()},
    )
    expires = next((str(step.details["expires"]) for step in steps.values() if "expires" in step.details), "")
    return rehearsed(made, expires) if expires else made
