"""The actions that lead traffic to the new cluster: ``fence``, ``balancer``, ``health``, ``dns``.

Each may be called again after drkit was killed in its middle, and ends the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from drkit import process
from drkit.config.model import DnsName
from drkit.errors import PreflightFailed, RestoreFailed
from drkit.process import DeadlineExceeded
from drkit.providers.port import HEALTHY, Record
from drkit.restore import alive, endpoints, rebuild_plan
from drkit.restore.engine.action import Action
from drkit.restore.etcd.values import family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from drkit.providers.port import TargetHealth
    from drkit.restore.engine.action import Call
    from drkit.restore.ground import Ground

_HEALTHY_SECONDS = 300.0
"""Several times what a load balancer's checks take at most: retries times interval, 45 s with Hetzner's defaults."""
_COMMAND_SECONDS = 120.0
_AGAIN_SECONDS = 1.0
_KINDS = {"A": 4, "AAAA": 6}


class Leading:
    """The actions, for one attempt at a restore.

    Args:
        ground: what they share with others.
        patience: seconds for which targets and endpoints may be unwell.
    """

    def __init__(self, ground: Ground, patience: float = _HEALTHY_SECONDS) -> None:
        self._ground, self._patience = ground, patience

    def actions(self) -> Mapping[str, Action]:
        """Them, by their names."""
        return {
            rebuild_plan.FENCE: Action(self.fence),
            rebuild_plan.BALANCER: Action(self.balancer),
            rebuild_plan.HEALTH: Action(self.health),
            rebuild_plan.DNS: Action(self.dns),
        }

    def fence(self, call: Call) -> dict[str, Any]:
        """The old cluster dead, or kept from serving.

        Raises:
            PreflightFailed: it lives, or nothing tells; the message says what to do.
        """
        ground = self._ground
        if call.step.details["vouched"] or ground.means.old_is_dead:
            call.note("the old cluster is dead, as the user says; nobody looked")
            return {"vouched": True}
        fenced = ground.provider.fence(ground.wanted, power_off=ground.replace)
        asked, living = ground.still_alive(ground.given | ground.machines.addresses(call))
        held = [each.name for each in fenced if each.there and (each.off or each.detached)]
        free = alive.unheld(living, fenced)
        if free:
            raise PreflightFailed(alive.refusal(free), alive.HINT)
        if not asked and not (fenced and len(held) == len(fenced)):
            raise PreflightFailed(
                "whether the old cluster is dead cannot be told: no address of its machines is known that can be asked"
                " from here",
                alive.HINT,
            )
        for door in living:
            call.warn(f"{door} still answers; it is off, or no longer behind the load balancer")
        return {"silent": [str(door) for door in asked if door not in living], "held": held}

    def balancer(self, call: Call) -> dict[str, Any]:
        """The load balancer with the new machines as its targets, each port with one that is healthy, best all.

        Raises:
            RestoreFailed: a port has none; those that are not healthy are named.
        """
        ground = self._ground
        found = ground.provider.balancer(ground.wanted)
        if found is None:
            return {}
        until = time.monotonic() + self._patience
        while True:
            known = ground.provider.health(ground.wanted)
            missing = unwell(known, found.targets)
            if not missing:
                break
            if time.monotonic() > until:
                _see_one_healthy(found.name, known, missing, self._patience)
                call.warn(f"load balancer {found.name}: {', '.join(missing)}")
                break
            process.pause(_AGAIN_SECONDS)
        return {
            "name": found.name,
            "addresses": list(found.addresses),
            "became": found.became,
            "targets": list(found.targets),
        }

    def health(self, call: Call) -> dict[str, Any]:
        """Every health endpoint answers where the names will lead.

        Raises:
            RestoreFailed: one does not; all that do not are named.
        """
        addresses = self._entrance(call)
        urls = [each.url for each in self._ground.means.config.health]
        until = time.monotonic() + self._patience
        while True:
            problems = [said for url in urls for said in [_any_answer(url, addresses)] if said]
            if not problems:
                return {"answered": urls, "addresses": list(addresses)}
            if time.monotonic() > until:
                raise RestoreFailed(
                    "\n".join([f"not healthy after {self._patience:.0f} s:", *problems]),
                    "see why with kubectl; names were not changed",
                )
            process.pause(_AGAIN_SECONDS)

    def dns(self, call: Call) -> dict[str, Any]:
        """The names lead to the new cluster; what they were is told before each change.

        Raises:
            RestoreFailed: a command that changes one failed.
        """
        addresses = self._entrance(call)
        done: dict[str, str] = {}
        commands = {each.name: each.command for each in self._target_names() if isinstance(each, DnsName)}
        for name in call.step.details["names"]:
            for kind, values in _by_kind(addresses):
                done[f"{name} {kind}"] = self._lead(call, Record(name, kind, values), commands.get(name))
        return {"records": done, "addresses": list(addresses)}

    def _target_names(self) -> Sequence[str | DnsName]:
        means = self._ground.means
        return means.config.clusters[means.plan.target].dns

    def _lead(self, call: Call, record: Record, command: Sequence[str] | None) -> str:
        """Change one record, and say how."""
        if command is not None:
            _run([*command, record.name, record.kind, *record.values])
            return "by command"
        provider = self._ground.provider
        try:
            before = provider.record(record.name, record.kind)
        except PreflightFailed:
            call.note(f"change by hand: {record.name} {record.kind} {' '.join(record.values)}")
            return "by hand"
        call.old_record(record.name, record.kind, [] if before is None else list(before.values))
        provider.point(call.restore, record)
        return "changed"

    def _entrance(self, call: Call) -> tuple[str, ...]:
        """Where traffic comes in: the load balancer's addresses, else those of the agents, else of the servers."""
        behind = call.results.get(rebuild_plan.BALANCER, {}).get("addresses")
        if behind:
            return tuple(behind)
        machines = [self._ground.machines.machine(name, call) for name in self._ground.machines.steps]
        usual = [each for each in machines if each.role == "agent"] or machines
        return tuple(address for each in usual for address in each.external or each.internal)


def unwell(known: Iterable[TargetHealth], targets: Iterable[str]) -> list[str]:
    """What is not healthy, and targets of which nothing is known. Pure."""
    found = list(known)
    bad = [f"{each.target} port {each.port} {each.status}" for each in found if each.status != HEALTHY]
    there = {each.target for each in found}
    return bad + [f"{target} unknown" for target in targets if target not in there]


def _see_one_healthy(name: str, known: Iterable[TargetHealth], missing: Sequence[str], seconds: float) -> None:
    found = list(known)
    ports = {each.port for each in found}
    served = {each.port for each in found if each.status == HEALTHY}
    if not served or ports - served:
        raise RestoreFailed(
            f"load balancer {name}: no healthy target after {seconds:.0f} s: {', '.join(missing)}",
            "see that the ingress runs on these machines, and what the load balancer's check asks for",
        )


def _any_answer(url: str, addresses: Sequence[str]) -> str:
    """What is wrong at each of the addresses; empty where the URL is answered at one of them."""
    said = []
    for address in addresses:
        problem = endpoints.problem(url, address)
        if not problem:
            return ""
        said.append(problem)
    return "; ".join(said) or f"{url}: no address is known to ask"


def _by_kind(addresses: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    listed = list(addresses)
    found = [(kind, tuple(each for each in listed if family(each) == version)) for kind, version in _KINDS.items()]
    return [(kind, values) for kind, values in found if values]


def _run(argv: Sequence[str]) -> None:
    """Run the user's command that changes a record."""
    try:
        done = process.run(argv, deadline=_COMMAND_SECONDS)
    except (OSError, DeadlineExceeded) as error:
        raise RestoreFailed(f"{argv[0]}: {error}") from None
    if done.status != 0:
        raise RestoreFailed(f"{argv[0]} ended with status {done.status}: {process.tail(done.stderr)}")
