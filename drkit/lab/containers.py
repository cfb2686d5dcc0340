"""Making, asking and removing a lab's containers, through the engine."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import time
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from drkit import process
from drkit.errors import DrkitError
from drkit.lab.engine import LABEL
from drkit.lab.spec import Datastore, LabSpec
from drkit.lab.subnet import choose
from drkit.lab.topology import DISK_VARIABLE, Role, Topology, full_name, topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import docker.models.containers
    import docker.models.networks
    from docker import DockerClient

    from drkit.lab.placed import Placed
    from drkit.lab.topology import Container

SPEC_LABEL = f"{LABEL}.spec"
DIRECTORY_LABEL = f"{LABEL}.directory"

_ROUTES = Path("/proc/net/route")
_POLL_SECONDS = 0.1
_BLOCK = 1024 * 1024
_REMOVAL_SECONDS = 120.0
ASK_SECONDS = 0.5
"""The pause between two questions to a cluster: each costs it, and the machine, a good part of a second of work."""


def labs(engine: DockerClient, label: str = LABEL) -> list[str]:
    """The names of all labs, by their label, of which anything is left on this machine."""
    found = [each.labels for each in engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)]
    found += [each.attrs["Labels"] for each in engine.networks.list(filters={"label": label})]
    found += [each.attrs["Labels"] for each in engine.volumes.list(filters={"label": label})]
    return sorted({labels[label] for labels in found})


def find(engine: DockerClient, lab: str) -> Topology | None:
    """The lab of that name as it was asked for, however much of it is there; None where its network is not."""
    network = find_network(engine, lab)
    if network is None:
        return None
    wanted = json.loads(network.attrs["Labels"][SPEC_LABEL])
    spec = LabSpec(
        lab,
        wanted["servers"],
        wanted["agents"],
        Datastore(wanted["datastore"]),
        wanted.get("k3s", ""),
        wanted.get("memory", 0),
        wanted.get("disk", 0),
    )
    return topology(spec, IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"]))


def find_network(engine: DockerClient, lab: str) -> docker.models.networks.Network | None:
    """The lab's network."""
    found = engine.networks.list(names=[full_name(lab)], filters={"label": f"{LABEL}={lab}"})
    return next((network for network in found if network.name == full_name(lab)), None)


def directory_of(engine: DockerClient, lab: str) -> Path | None:
    """Where the files of the lab of that name are, as whoever made it has said."""
    network = find_network(engine, lab)
    return None if network is None else Path(network.attrs["Labels"][DIRECTORY_LABEL])


def make_network(engine: DockerClient, spec: LabSpec, directory: Path) -> Topology:
    """Give the lab a network of its own. It carries what the lab shall be, so that any later run can go on."""
    wanted = {
        "servers": spec.servers,
        "agents": spec.agents,
        "datastore": str(spec.datastore),
        "k3s": spec.k3s,
        "memory": spec.memory,
        "disk": spec.disk,
    }
    labels = {LABEL: spec.name, SPEC_LABEL: json.dumps(wanted), DIRECTORY_LABEL: str(directory)}
    return topology(spec, create_network(engine, full_name(spec.name), labels))


def create_network(engine: DockerClient, name: str, labels: Mapping[str, str]) -> IPv4Network:
    """Create a network with addresses that nobody on this machine uses, and return its range."""
    refused: list[IPv4Network] = []
    while True:
        subnet = choose([*_taken(engine), *refused])
        try:
            engine.networks.create(
                name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))]),
                labels=dict(labels),
            )
        except APIError as error:
            if "overlaps" not in str(error):
                raise
            refused.append(subnet)  # another lab has taken it in this moment
        else:
            return subnet


def _taken(engine: DockerClient) -> list[IPv4Network]:
    pools = [pool for network in engine.networks.list() for pool in (network.attrs["IPAM"]["Config"] or [])]
    docker = [IPv4Network(pool["Subnet"]) for pool in pools if ":" not in pool.get("Subnet", ":")]
    return [*docker, *routes(_ROUTES.read_text())]


def routes(table: str) -> list[IPv4Network]:
    """The networks in a ``/proc/net/route``, the default route apart. Pure.

    Its numbers are hexadecimal, in the machine's own byte order (proc_net_route, Linux); little-endian here.
    """
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        destination, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            found.append(IPv4Network((destination, mask.bit_count())))
    return found


def make(
    engine: DockerClient, lab: Topology, wanted: Container, image: str, more_capabilities: Iterable[str] = ()
) -> docker.models.containers.Container:
    """Make a container that does not run yet; its volumes come into being with it."""
    for name in wanted.volumes:
        engine.volumes.create(name, labels=dict(wanted.labels))
    dns = lab.the(Role.DNS)
    endpoint = engine.api.create_endpoint_config(ipv4_address=wanted.address, aliases=[wanted.member])
    return engine.containers.create(
        image,
        name=wanted.name,
        hostname=wanted.member,
        labels=dict(wanted.labels),
        network=lab.network,
        networking_config={lab.network: endpoint},
        # The DNS server itself asks the machine's.
        dns=None if wanted == dns else [dns.address],
        dns_search=None if wanted == dns else [lab.zone],
        volumes={name: {"bind": path, "mode": "rw"} for name, path in wanted.volumes.items()},
        tmpfs=dict(wanted.tmpfs),
        cap_add=[*wanted.capabilities, *more_capabilities],
        security_opt=list(wanted.security_options),
        # A node sees its own cgroups alone, as a machine does.
        cgroupns="private" if wanted.role.is_node else None,
        environment={DISK_VARIABLE: str(wanted.disk)} if wanted.disk else None,
        device_cgroup_rules=list(wanted.devices),
        # Neither more in swap.
        mem_limit=wanted.memory or None,
        memswap_limit=wanted.memory or None,
    )


def get(engine: DockerClient, name: str) -> docker.models.containers.Container | None:
    """The container of that name."""
    try:
        return engine.containers.get(name)
    except NotFound:
        return None


def states(engine: DockerClient, lab: str) -> dict[str, str]:
    """What the engine says of each container of the lab, by its name."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={lab}"}
    found = engine.containers.list(all=True, filters=mine, ignore_removed=True)
    return {str(container.name): container.status for container in found}


def place(container: docker.models.containers.Container, files: Iterable[Placed]) -> None:
    """Put files into a container, which need not run."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            content = file.content.encode()
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(content), file.mode, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    container.put_archive("/", buffer.getvalue())


def place_file(container: docker.models.containers.Container, path: str, source: Path) -> None:
    """Put one file, which may be larger than memory, into a container, which need not run."""

    def blocks() -> Iterator[bytes]:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode, entry.mtime = source.stat().st_size, 0o600, int(time.time())
        yield entry.tobuf()
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
        # Up to the next block's end, and two empty blocks as the archive's end.
        yield bytes(-entry.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)

    container.put_archive("/", blocks())


def fetch(container: docker.models.containers.Container, path: str) -> str:
    """The text of a file in a container.

    Raises:
        DrkitError: it is not there.
    """
    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        raise DrkitError(f"{container.name} has no file {path}") from None
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        return "" if file is None else file.read().decode()


def answers(address: str, port: int, greeting: bytes = b"") -> bool:
    """Whether somebody answers there, with that greeting."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return not greeting or connection.recv(len(greeting)) == greeting
    except OSError:
        return False


def wait(
    what: str,
    holds: Callable[[], bool],
    seconds: float,
    explain: Callable[[], str] = lambda: "",
    every: float = _POLL_SECONDS,
) -> None:
    """Wait for a condition.

    Args:
        what: is said where it does not come true.
        holds: whether it does.
        seconds: the longest to wait.
        explain: what is known then.
        every: the pause between two questions, in seconds.

    Raises:
        DrkitError: it did not hold in time.
    """
    until = time.monotonic() + seconds
    while not holds():
        process.see_interrupt()
        if time.monotonic() > until:
            raise DrkitError(f"{what}: not within {seconds:.0f} s\n{explain()}".rstrip())
        time.sleep(every)


def remove(engine: DockerClient, lab: str, label: str = LABEL) -> int:
    """Remove everything that carries the lab's label, and return how many things that were."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{label}={lab}"}
    containers = engine.containers.list(all=True, filters=mine, ignore_removed=True)
    for container in containers:
        with _removed_by_another():
            container.remove(force=True, v=True)
    gone = "the lab's containers did not go"
    wait(gone, lambda: not engine.containers.list(all=True, filters=mine, ignore_removed=True), _REMOVAL_SECONDS)
    networks = engine.networks.list(filters=mine)
    for network in networks:
        with _removed_by_another():
            network.remove()
    volumes = engine.volumes.list(filters=mine)
    for volume in volumes:
        with _removed_by_another():
            volume.remove(force=True)
    return len(containers) + len(networks) + len(volumes)


@contextmanager
def _removed_by_another() -> Iterator[None]:
    """What is gone, or going because somebody else removes it too, is what was wanted."""
    try:
        yield
    except APIError as error:
        if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise
