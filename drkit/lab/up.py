"""``drkit lab up``: brings what is there to what was asked for, so that it can be interrupted and run again."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from docker.errors import DockerException

from drkit import process
from drkit.backup import leftovers
from drkit.config.load import load
from drkit.errors import ConfigurationError, DrkitError, TargetNotEmpty
from drkit.lab import balancer, containers, inside
from drkit.lab import topology as topologies
from drkit.lab.build import ensure
from drkit.lab.files import (
    APPEND_KEY,
    DATABASE_PASSWORD,
    FULL_KEY,
    NODE_KEY,
    TOKEN,
    LabFiles,
    drkit_yaml,
    files_of,
)
from drkit.lab.join import join
from drkit.lab.k3s import build
from drkit.lab.limits import check_inotify
from drkit.lab.nodes import ensure_node, more_capabilities
from drkit.lab.placed import Access, files
from drkit.lab.recipes import read
from drkit.lab.topology import BOX_PORT, DATABASE_PORT, DNS_PORT, NODE_IMAGE, SSH_PORT, Role
from drkit.lab.workload.deploy import deploy
from drkit.state import exclusive, write_durably
from drkit.vault.borg_command import identity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.k3s.given import GivenK3s
    from drkit.lab.spec import LabSpec
    from drkit.lab.topology import Container, Topology
    from drkit.observe.progress import Reporter

WAIT_SECONDS = 1800.0
"""How long a command waits for another one that works on the same lab."""

NEXT_RELEASE = "2"
_BOOT_SECONDS = 120.0
HOST_KEY = "/var/lib/lab/ssh_host_ed25519_key.pub"


@contextmanager
def held(lab: str, doing: str, reporter: Reporter) -> Iterator[None]:
    """The lab for oneself: two commands do not change one lab at once.

    Raises:
        DrkitError: another process still holds it; or the engine refused something in the body.
    """
    lock = exclusive(
        f"lab-{lab}",
        doing,
        WAIT_SECONDS,
        lambda holder: DrkitError(f"the lab {lab} is still held by {holder}", "wait for it, or end it"),
        lambda holder: reporter.note(f"the lab {lab} is held by {holder}: waiting for it"),
    )
    try:
        with lock:
            yield
    except DockerException as error:
        raise DrkitError(f"the Docker engine refused: {error}", "its own log says more") from error


def up(
    engine: DockerClient, spec: LabSpec, reporter: Reporter, *, k3s: GivenK3s | None = None, workload: bool = False
) -> Topology:
    """See that the lab is there and runs, with the real k3s and the sample workload where they are asked for.

    A lab that was not there before is removed again when the run is interrupted; one that was is left as it is, and so
    is one that could not be finished: the next run goes on with it.

    Raises:
        TargetNotEmpty: a lab of that name is there, and is another one.
        PreflightFailed: its images cannot be had here.
        DrkitError: a container did not come up; the end of its log is in the message.
    """
    with held(spec.name, "drkit lab up", reporter):
        was_there = _adopt(engine, spec)
        if not was_there:
            check_inotify(spec)
        images = {name: _image(engine, name, k3s, reporter) for name in topologies.images(spec)}
        try:
            lab = _converge(engine, spec, images, more_capabilities(k3s), reporter)
            if workload:
                deploy(engine, lab, files_of(spec.name), reporter)
            process.see_interrupt()
        except KeyboardInterrupt:
            process.forget_interrupt()
            if not was_there:
                reporter.note(f"interrupted: removing the lab {spec.name} again")
                _remove(engine, spec.name)
            raise
        return lab


def down(engine: DockerClient, lab: str, reporter: Reporter) -> int:
    """Remove a lab, whatever there is of it, and return how many containers, networks and volumes that were."""
    with held(lab, "drkit lab down", reporter):
        return _remove(engine, lab)


def _remove(engine: DockerClient, lab: str) -> int:
    removed = containers.remove(engine, lab)
    _forget_box(files_of(lab))
    files_of(lab).remove()
    return removed


def _forget_box(mine: LabFiles) -> None:
    """The next lab's box may have the same address, and has other repositories there."""
    with suppress(ConfigurationError):
        for vault in load(mine.config).vaults.values():
            leftovers.forget(identity_of(vault.url))


def _adopt(engine: DockerClient, spec: LabSpec) -> bool:
    """Whether the lab, or some of it, is there to go on with."""
    found = containers.find(engine, spec.name)
    if found is None:
        # Nothing can be made of containers whose network is gone, nor of their keys.
        _remove(engine, spec.name)
        return False
    other = f"drkit lab down --name {spec.name}, or another --name"
    if found.spec != spec:
        raise TargetNotEmpty(f"the lab {spec.name} is there, with {found.spec}", other)
    directory = containers.directory_of(engine, spec.name)
    if directory != files_of(spec.name).directory:
        raise TargetNotEmpty(f"the lab {spec.name} belongs to somebody else: its keys are in {directory}", other)
    return True


def _image(engine: DockerClient, name: str, k3s: GivenK3s | None, reporter: Reporter) -> str:
    return ensure_node(engine, k3s, reporter) if name == NODE_IMAGE else ensure(engine, read(name), reporter)


def _converge(
    engine: DockerClient,
    spec: LabSpec,
    images: Mapping[str, str],
    node_capabilities: Iterable[str],
    reporter: Reporter,
) -> Topology:
    mine = files_of(spec.name)
    lab = containers.find(engine, spec.name) or containers.make_network(engine, spec, mine.directory)
    mine.make()
    with reporter.task(f"starting the lab {spec.name}: {len(lab.containers)} containers on {lab.subnet}"):
        for container in lab.containers:
            if containers.get(engine, container.name) is None:
                more = node_capabilities if container.role.is_node else ()
                containers.make(engine, lab, container, images[container.role.image], more)
            _start(engine, lab, container, _access(mine))
        # They boot side by side; to wait for one after the other takes no longer.
        keys = [_booted(engine, container) for container in lab.containers]
    write_durably(mine.known_hosts, "".join(keys))
    join(engine, lab, mine, reporter)
    if not spec.k3s:
        write_durably(mine.next_k3s, build.program(NEXT_RELEASE))
    write_durably(mine.config, drkit_yaml(lab))
    return lab


def _access(mine: LabFiles) -> Access:
    return Access(
        node_key=mine.public_key(NODE_KEY),
        append_only_key=mine.public_key(APPEND_KEY),
        full_key=mine.public_key(FULL_KEY),
        token=mine.secret(TOKEN),
        database_password=mine.secret(DATABASE_PASSWORD),
    )


def _start(engine: DockerClient, lab: Topology, wanted: Container, access: Access) -> None:
    container = engine.containers.get(wanted.name)
    if container.status != "running":
        # Again where a start before was interrupted: it may not have got all.
        containers.place(container, files(lab, wanted, access))
        container.start()


def _booted(engine: DockerClient, wanted: Container) -> str:
    """Wait until it does what it is for, and return its lines for known_hosts."""
    container = engine.containers.get(wanted.name)
    containers.wait(
        f"{wanted.member} did not come up",
        lambda: _is_healthy(container, wanted),
        _BOOT_SECONDS,
        lambda: _last_words(container),
    )
    if not (wanted.role.is_node or wanted.role is Role.BOX):
        return ""
    key = containers.fetch(container, HOST_KEY).split()
    port = BOX_PORT if wanted.role is Role.BOX else SSH_PORT
    host = wanted.address if port == SSH_PORT else f"[{wanted.address}]:{port}"
    return f"{host} {key[0]} {key[1]}\n"


def _is_healthy(container: docker.models.containers.Container, wanted: Container) -> bool:
    container.reload()
    if container.status != "running":
        raise DrkitError(f"{wanted.member} has ended\n{_last_words(container)}")
    match wanted.role:
        case Role.SERVER | Role.AGENT:
            # What systemd says when basic.target is there; k3s may take longer.
            state = inside.run_in(container, "systemctl", "is-system-running")[1].strip()
            return state in {"starting", "running", "degraded"} and containers.answers(
                wanted.address, SSH_PORT, b"SSH-"
            )
        case Role.BOX:
            return containers.answers(wanted.address, BOX_PORT, b"SSH-")
        case Role.BALANCER:
            return containers.answers(wanted.address, balancer.INGRESS[0].listen)
        case Role.DNS:
            return containers.answers(wanted.address, DNS_PORT)
        case Role.DATABASE:
            return containers.answers(wanted.address, DATABASE_PORT)


def _last_words(container: docker.models.containers.Container) -> str:
    return process.tail(container.logs(tail=process.TAIL_LINES).decode(errors="replace"))
