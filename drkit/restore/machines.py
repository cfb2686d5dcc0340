"""The machines of a rebuild, for all its steps: what the steps ``server NAME`` left, and the ways to them.

The plan calls a machine as the configuration does. What the provider calls it, which is its name in the new cluster,
its addresses and its host keys are in the result of its step ``server NAME``.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, Self

from drkit import process
from drkit.cluster.reach import reach
from drkit.cluster.ssh import SshNode
from drkit.errors import ConfigurationError
from drkit.providers.port import SSH_PORT, Server
from drkit.restore import rebuild_plan
from drkit.restore.etcd.values import Machine
from drkit.restore.wanted import SSH
from drkit.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from drkit.cluster.node import Node
    from drkit.config.model import Config, Ssh
    from drkit.restore.engine.action import Call
    from drkit.restore.engine.plan import Plan, Step

_SECONDS = 30.0
_ROOT = "root"
"""In whose account a provider puts the keys that may log in."""


class Machines:
    """Made once for an attempt at a restore; leaving it closes the connections. Safe to use from several threads.

    Args:
        plan: of the restore.
        config: the configuration, of which ``clusters.T.ssh`` says how machines are logged in to.
    """

    def __init__(self, plan: Plan, config: Config) -> None:
        self._steps = made_by(plan)
        target = config.clusters[plan.target]
        self._section = f"clusters.{plan.target}"
        self._makes = target.provider not in {None, SSH}
        self.ssh = way(target.ssh, config.cluster.ssh, makes=self._makes)
        self._nodes: dict[str, Node] = {}
        self._lock = threading.Lock()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self._directory = self._cleanup.enter_context(workspace(Path(gettempdir())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def steps(self) -> Mapping[str, Step]:
        """The steps ``server NAME`` by the machines' names, the first server first."""
        return self._steps

    @property
    def first(self) -> str:
        """The name of the first server, which the others join."""
        return next(iter(self._steps))

    def public_keys(self) -> tuple[str, ...]:
        """The public halves of the keys that new machines let in; the private ones stay with OpenSSH.

        Raises:
            ConfigurationError: none is configured, or its public half is not to be had.
        """
        if not self._makes:
            return ()
        key = self.ssh.key
        if key is None:
            raise ConfigurationError(
                f"{self._section}.ssh.key: expected the key to log in to new servers with",
                f"add it: clusters: {{{self._section.partition('.')[2]}: {{ssh: {{key: ~/.ssh/id_ed25519}}}}}}",
            )
        return (public_half(key, f"{self._section}.ssh.key"),)

    def made(self, name: str, call: Call) -> Server:
        """What the step ``server NAME`` left, which is done."""
        return from_result(self._result(name, call))

    def node(self, name: str, call: Call) -> Node:
        """The way to a machine whose step ``server NAME`` is done; connected to when first used."""
        return self.way_to(name, self.made(name, call))

    def machine(self, name: str, call: Call) -> Machine:
        """A machine as k3s on it has to know it; its step ``server NAME`` is done, and the first server's is."""
        return machine_of(self._steps, name, call.results)

    def addresses(self, call: Call) -> frozenset[str]:
        """All addresses of the machines that are there so far."""
        done = [name for name in self._steps if f"{rebuild_plan.MAKE} {name}" in call.results]
        made = [self.made(name, call) for name in done]
        return frozenset(address for each in made for address in (each.address, *each.public, *each.private))

    def way_to(self, name: str, server: Server) -> Node:
        """The way to a machine, which is believed by ``server.host_keys`` from now on, or by the user's known_hosts."""
        with self._lock:
            ssh = self._trusting(name, server)
            if name not in self._nodes:
                # Who made the machine knows that it is not this one, whatever its address.
                node = SshNode(server.name, server.address, ssh) if self._makes else reach(name, server.address, ssh)
                if isinstance(node, SshNode):
                    self._cleanup.callback(node.close)
                self._nodes[name] = node
            return self._nodes[name]

    def _result(self, name: str, call: Call) -> Mapping[str, Any]:
        return call.results[f"{rebuild_plan.MAKE} {name}"]

    def _trusting(self, name: str, server: Server) -> Ssh:
        """How the server is logged in to; its host keys stand in a file of this attempt, public halves alone."""
        if not server.host_keys:
            return self.ssh
        path = self._directory / f"{name}.known_hosts"
        others = self._known_others(path, server) if self.ssh.jump else ""
        written = path.with_suffix(".new")
        written.write_text(server.known_hosts(self.ssh.port or SSH_PORT) + others)
        written.replace(path)
        return self.ssh.model_copy(update={"known_hosts": path})

    def _known_others(self, beside: Path, server: Server) -> str:
        """The user's known_hosts, for the hosts on the way, without what it says of an earlier one of this address."""
        known = self.ssh.known_hosts or Path("~/.ssh/known_hosts").expanduser()
        if not known.exists():
            return ""
        copy = beside.with_suffix(".others")
        copy.write_bytes(known.read_bytes() + b"\n")
        port = self.ssh.port or SSH_PORT
        host = server.address if port == SSH_PORT else f"[{server.address}]:{port}"
        process.run(
            ["ssh-keygen", "-q", "-R", host, "-f", str(copy)], deadline=_SECONDS, env=process.clean_environment()
        )
        return copy.read_text()


def made_by(plan: Plan) -> dict[str, Step]:
    """A plan's steps ``server NAME`` by the machines' names, the first server first. Pure."""
    return {step.details["name"]: step for step in plan.steps if step.action == rebuild_plan.MAKE}


def machine_of(steps: Mapping[str, Step], name: str, results: Mapping[str, Mapping[str, Any]]) -> Machine:
    """A machine as k3s on it has to know it. Pure.

    Args:
        steps: see ``made_by``.
        name: the machine's.
        results: what steps left, by their ids: this machine's and the first server's are done.
    """
    first = next(iter(steps))
    own, joined = results[f"{rebuild_plan.MAKE} {name}"], results[f"{rebuild_plan.MAKE} {first}"]
    return Machine(
        own["provider_name"],
        steps[name].details["role"],
        tuple(own["internal"]),
        tuple(own["external"]),
        own["interface"],
        "" if name == first else joined["internal"][0],
    )


def way(target: Ssh, cluster: Ssh, *, makes: bool) -> Ssh:
    """How new machines are logged in to: as the target says, else as the cluster that is backed up is. Pure.

    Args:
        target: ``clusters.T.ssh``.
        cluster: ``cluster.ssh``.
        makes: whether the machines are made, so that it is known whose account the key is put into.
    """
    said = target if any(value is not None for _, value in target) else cluster
    return said.model_copy(update={"user": _ROOT}) if makes and said.user is None else said


def public_half(key: Path, section: str) -> str:
    """The public half of a private key: the file beside it, or what OpenSSH makes of a key without a passphrase.

    Raises:
        ConfigurationError: there is none.
    """
    beside = key.with_name(f"{key.name}.pub")
    if beside.is_file():
        return beside.read_text(errors="replace").strip()
    argv = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
    done = process.run(argv, deadline=_SECONDS, env=process.clean_environment())
    if done.status != 0:
        raise ConfigurationError(
            f"{section}: {key}: its public half is not to be had: {process.tail(done.stderr)}",
            f"put it beside the key, as {beside.name}",
        )
    return done.stdout.decode(errors="replace").strip()


def to_result(server: Server, machine: Machine) -> dict[str, Any]:
    """What a step ``server NAME`` leaves. Pure."""
    return {
        "provider_name": server.name,
        "stands_for": server.was,
        "address": server.address,
        "public": list(server.public),
        "private": list(server.private),
        "host_keys": list(server.host_keys),
        "server_type": server.server_type,
        "location": server.location,
        "internal": list(machine.internal),
        "external": list(machine.external),
        "interface": machine.interface,
    }


def from_result(result: Mapping[str, Any]) -> Server:
    """The server of such a result. Pure."""
    return Server(
        result["provider_name"],
        result["stands_for"],
        result["address"],
        tuple(result["public"]),
        tuple(result["private"]),
        tuple(result["host_keys"]),
        result["server_type"],
        result["location"],
    )
