"""Machines that come to a lab later, and go again: fresh nodes without k3s, beside those that it was asked for.

They carry the lab's label, so that ``drkit lab down`` removes them too.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drkit.errors import DrkitError, PreflightFailed
from drkit.lab import cluster, containers
from drkit.lab.engine import LABEL
from drkit.lab.join import RUNNING
from drkit.lab.limits import check_inotify
from drkit.lab.nodes import ensure_node
from drkit.lab.placed import Placed
from drkit.lab.spec import LabSpec
from drkit.lab.topology import SPARE, SSH_PORT, Role, beside, full_name
from drkit.lab.up import HOST_KEY
from drkit.state import exclusive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter

AUTHORIZED_KEYS = "/var/lib/lab/authorized_keys"
_BOOT_SECONDS = 120.0
_LOCK_SECONDS = 300.0
_threads = threading.Lock()


@dataclass(frozen=True)
class Fresh:
    """A machine that is to be made.

    Attributes:
        member: its name in the lab.
        address: from ``free_address``; it is found where this is empty.
        key: tells its disks from those of another one that had its name.
        authorized_keys: who may log in as root.
        labels: what it carries beside the lab's own.
        host_key: what it shall prove to be, private half and public half; it makes its own where this is None.
    """

    member: str
    key: str
    authorized_keys: tuple[str, ...]
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    host_key: tuple[str, str] | None = field(default=None, repr=False)


def lab_of(engine: DockerClient, name: str) -> Topology:
    """The lab of that name.

    Raises:
        PreflightFailed: there is none.
    """
    found = containers.find(engine, name)
    if found is None:
        raise PreflightFailed(f"there is no lab {name}", f"make it: drkit lab up --name {name}")
    return found


def find(engine: DockerClient, lab: Topology, member: str) -> docker.models.containers.Container | None:
    """The container of that name in the lab."""
    return containers.get(engine, full_name(lab.spec.name, member))


def make(engine: DockerClient, lab: Topology, fresh: Fresh, reporter: Reporter) -> docker.models.containers.Container:
    """Make a machine that does not run yet.

    Raises:
        PreflightFailed: there is no room for it on this machine, or nothing that says which image it has.
        DrkitError: the lab has no address left.
    """
    check_inotify(LabSpec(lab.spec.name, servers=1, agents=0))
    image, more = _like_the_others(engine, lab, reporter)
    # Between finding an address and having it nobody else may find the same one.
    with _threads, _held(lab):
        address = fresh.address or free_address(engine, lab)
        wanted = beside(lab, Role.SERVER, fresh.member, address, fresh.key, fresh.labels)
        made = containers.make(engine, lab, wanted, image, more)
    place(made, lab, fresh)
    return made


def place(container: docker.models.containers.Container, lab: Topology, fresh: Fresh) -> None:
    """Give a machine what its provider gives it before its first start."""
    files = [
        Placed(AUTHORIZED_KEYS, "".join(f"{key}\n" for key in fresh.authorized_keys), 0o600),
        Placed(cluster.RESOLVER, cluster.resolver(lab)),
    ]
    if fresh.host_key is not None:
        private, public = fresh.host_key
        files += [Placed(HOST_KEY.removesuffix(".pub"), private, 0o600), Placed(HOST_KEY, f"{public}\n")]
    containers.place(container, files)


def _held(lab: Topology) -> AbstractContextManager[None]:
    return exclusive(
        f"lab-{lab.spec.name}-addresses",
        "making a machine",
        _LOCK_SECONDS,
        lambda holder: DrkitError(f"the lab {lab.spec.name} is still held by {holder}"),
        lambda _: None,
    )


def _like_the_others(engine: DockerClient, lab: Topology, reporter: Reporter) -> tuple[str, list[str]]:
    """The image of the lab's nodes, and what rights they have beyond those of all nodes."""
    for node in lab.nodes:
        container = containers.get(engine, node.name)
        if container is not None:
            added = {each.removeprefix("CAP_") for each in container.attrs["HostConfig"]["CapAdd"] or ()}
            return container.attrs["Config"]["Image"], sorted(added - set(node.capabilities))
    if lab.spec.k3s:
        raise PreflightFailed(
            f"none of the nodes of the lab {lab.spec.name} is left, and nothing else has the k3s that they were given",
            "keep one of them, powered off",
        )
    return ensure_node(engine, None, reporter), []


def free_address(engine: DockerClient, lab: Topology, *promised: str) -> str:
    """An address of the lab's network that no container has, running or not.

    Args:
        engine: where the lab is.
        lab: whose network.
        promised: others that somebody was told.

    Raises:
        DrkitError: there is none left.
    """
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={lab.spec.name}"}
    found = engine.containers.list(all=True, filters=mine, ignore_removed=True)
    used = {address_of(container, lab) for container in found} | set(promised)
    for number in SPARE:
        if str(lab.subnet[number]) not in used:
            return str(lab.subnet[number])
    raise DrkitError(f"the lab {lab.spec.name} has no address left", "remove machines that nobody needs")


def address_of(container: docker.models.containers.Container, lab: Topology) -> str:
    """The address that it was given, whether or not it runs."""
    network = container.attrs["NetworkSettings"]["Networks"].get(lab.network) or {}
    return str((network.get("IPAMConfig") or {}).get("IPv4Address") or "")


def power_on(container: docker.models.containers.Container) -> None:
    """Start it; one that runs goes on."""
    container.reload()
    if container.status != RUNNING:
        container.start()


def cut_power(container: docker.models.containers.Container) -> None:
    """End it as if the cord were pulled; its disks stay."""
    container.reload()
    if container.status == RUNNING:
        container.kill()


def booted(container: docker.models.containers.Container, address: str) -> str:
    """Wait until one can log in, and return its host key.

    Raises:
        DrkitError: it did not come up.
    """
    containers.wait(
        f"{container.name} did not come up",
        lambda: containers.answers(address, SSH_PORT, b"SSH-"),
        _BOOT_SECONDS,
    )
    kind, key = containers.fetch(container, HOST_KEY).split()[:2]
    return f"{kind} {key}"
