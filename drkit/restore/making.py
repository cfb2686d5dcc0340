"""The actions that make machines, and what is seen before the first of them: ``network``, ``server``, ``mark``.

Each may be called again after drkit was killed in its middle, and ends the same: what was made carries the restore's
id.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.errors import NodeUnreachable, PreflightFailed, RestoreFailed, SourceFailed
from drkit.process import DeadlineExceeded
from drkit.providers import hostkeys
from drkit.providers.port import ADOPTED
from drkit.restore import alive, rebuild_plan, reissue
from drkit.restore.engine.action import Action
from drkit.restore.etcd import machine as hosts
from drkit.restore.etcd import program
from drkit.restore.etcd.values import Machine, family
from drkit.restore.machines import to_result
from drkit.restore.wanted import SSH
from drkit.topology import nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from drkit.cluster.node import Node
    from drkit.providers.port import Server
    from drkit.restore.engine.action import Call
    from drkit.restore.ground import Ground

BOOT_SECONDS = 600.0
"""From a server that the provider calls running to one that lets drkit in, and has its private address."""
_ASK_SECONDS = 30.0
_AGAIN_SECONDS = 1.0


class Making:
    """The actions, for one attempt at a restore."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def actions(self) -> Mapping[str, Action]:
        """Them, by their names."""
        return {
            rebuild_plan.NETWORK: Action(self.network),
            rebuild_plan.MAKE: Action(self.server),
            rebuild_plan.MARK: Action(self.mark),
        }

    def preflight(self, restore: str, *, vouched: bool) -> None:
        """See that what is wanted can be had, and that nobody lives where it shall be. Nothing is changed.

        Args:
            restore: the restore's id.
            vouched: the user says that the old cluster is dead, or it was seen before.

        Raises:
            PreflightFailed: it cannot be had; a given host has another version of k3s; or the old cluster lives, and
                nothing here can keep it from serving.
            TargetNotEmpty: k3s has run on a given host, or it is another restore's.
            ConfigurationError: what is wanted contradicts itself.
            ProviderFailed: the provider does not answer.
        """
        ground = self._ground
        for note in ground.provider.check(ground.wanted):
            ground.means.reporter.note(note)
        if ground.provider.name == SSH:
            self._see_hosts(restore)
        takes_over = not ground.replace and ground.wanted.balancer is None and not ground.wanted.expires
        if not vouched and takes_over:
            living = ground.still_alive(ground.given)[1]
            if living:
                raise PreflightFailed(alive.refusal(living), alive.HINT)

    def _see_hosts(self, restore: str) -> None:
        ground = self._ground
        planned = (each for each in ground.means.plan.steps if each.action == rebuild_plan.K3S)
        versions = {each.details["name"]: str(each.details["version"]) for each in planned}
        for name, step in ground.machines.steps.items():
            node = ground.machines.way_to(name, ground.provider.server(ground.wanted, ground.name_of(name)))
            try:
                hosts.see_free(node, restore)
                program.see_version(node, step.details["role"], versions.get(name, ""))
            except (NodeUnreachable, DeadlineExceeded) as error:
                hint = error.hint if isinstance(error, NodeUnreachable) else ""
                raise PreflightFailed(f"{error}; nothing was touched", hint) from None

    def network(self, call: Call) -> dict[str, Any]:
        """What servers stand on: made, or adopted where it is there."""
        things = self._ground.provider.foundation(self._ground.wanted)
        for thing in things:
            if thing.became == ADOPTED:
                call.note(f"{thing.kind} {thing.name}: was there, and is adopted")
        return {"things": [{"kind": each.kind, "name": each.name, "became": each.became} for each in things]}

    def server(self, call: Call) -> dict[str, Any]:
        """One machine: there, answering over SSH with a host key of its own, and known by its addresses."""
        ground, name = self._ground, call.step.details["name"]
        made = ground.provider.server(ground.wanted, ground.name_of(name))
        node = ground.machines.way_to(name, made)
        until = time.monotonic() + BOOT_SECONDS
        _wait_for(node, until)

        def believe(server: Server) -> None:
            ground.machines.way_to(name, server)

        settled = hostkeys.settle(ground.provider, made, node, believe)
        machine = _placed(node, call.step.details["role"], settled, until)
        before = ground.old_addresses(name)
        for line in reissue.of_machine(call.step.details["node"], before, machine.addresses):
            call.reissue(line)
        known = {*before, *ground.old_interfaces(name)}
        for line in reissue.of_firewalls(ground.wanted.firewalls, call.step.details["node"], known, machine.addresses):
            call.warn(line)
        if name == ground.machines.first:
            for line in reissue.of_cluster(ground.means.plan.mode, machine.addresses):
                call.reissue(line)
        return to_result(settled, machine)

    def mark(self, call: Call) -> None:
        """The restore's id on a machine; refused where k3s has run, unless it is there."""
        hosts.mark(self._ground.machines.node(call.step.details["name"], call), call.restore)


def _wait_for(node: Node, until: float) -> None:
    """Wait until a machine lets drkit in."""
    while True:
        try:
            node.run(["true"], deadline=_ASK_SECONDS)
        except (NodeUnreachable, DeadlineExceeded) as error:
            if time.monotonic() > until:
                raise RestoreFailed(
                    f"{node.name} is there, and did not let drkit in within {BOOT_SECONDS:.0f} s: {error}",
                    "look at its console; it is asked again with --resume, or made again after --destroy",
                ) from None
            process.pause(_AGAIN_SECONDS)
        else:
            return


def _placed(node: Node, role: Any, server: Server, until: float) -> Machine:
    """The machine as the cluster has to know it; its private interface may come up after its public one."""
    while True:
        try:
            host = nodes.look(node)
        except SourceFailed as error:
            raise RestoreFailed(error.message, error.hint) from None
        there = placed(server, role, host)
        if there is not None:
            return there
        if time.monotonic() > until:
            raise RestoreFailed(
                f"{node.name}: none of its interfaces has the address {', '.join(server.private)}",
                "its image has to take the private network's address by DHCP, as Hetzner's own images do",
            )
        process.pause(_AGAIN_SECONDS)


def placed(server: Server, role: Any, host: Mapping[str, Any]) -> Machine | None:
    """The addresses by which a cluster's machines know this one. Pure.

    Args:
        server: as the provider has it.
        role: ``server`` or ``agent``.
        host: what it says of itself; see ``drkit.topology.nodes.look``.

    Returns:
        Nothing where the private address that the provider says is on no interface yet.
    """
    own = {address.partition("/")[0]: str(each["name"]) for each in host["interfaces"] for address in each["addresses"]}
    inside = tuple(_one_of_each(server.private))
    if inside and inside[0] not in own:
        return None
    if not inside:
        inside = tuple(_one_of_each(each for each in server.public if each in own)) or _by_the_way_out(host, own)
    if not inside:
        return None
    return Machine(server.name, role, inside, tuple(_one_of_each(server.public)), own[inside[0]])


def _one_of_each(addresses: Iterable[str]) -> Iterator[str]:
    """The first address of each family."""
    seen: set[int] = set()
    for address in addresses:
        kind = family(address)
        if kind and kind not in seen:
            seen.add(kind)
            yield address


def _by_the_way_out(host: Mapping[str, Any], own: Mapping[str, str]) -> tuple[str, ...]:
    """The address of the interface that leads outside: what k3s takes by itself (``--node-ip``)."""
    out = next((each.get("dev") for each in host["routes"] if each.get("dst") == "default"), None)
    return tuple(_one_of_each(address for address, interface in own.items() if interface == out))
