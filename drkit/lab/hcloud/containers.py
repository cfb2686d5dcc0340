"""The stand-in's machines as containers of a lab that runs."""

from __future__ import annotations

import secrets
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from docker.errors import DockerException, NotFound
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drkit.errors import DrkitError
from drkit.lab import balancer, containers, machines, traffic
from drkit.lab.build import ensure
from drkit.lab.engine import LABEL
from drkit.lab.hcloud.machines import Addresses
from drkit.lab.names import Answers
from drkit.lab.placed import Placed
from drkit.lab.recipes import read
from drkit.lab.topology import Role, beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import docker.models.containers
    from docker import DockerClient

    from drkit.lab.balancer import Service
    from drkit.lab.hcloud.machines import MachineSpec
    from drkit.lab.topology import Topology
    from drkit.observe.progress import Reporter

NUMBER_LABEL = f"{LABEL}.hcloud"
"""On each container that the stand-in made: the lab's name, which stand-in, and its number there."""
IMAGES = "/var/lib/rancher/k3s/agent/images/workload.tar"
"""k3s takes images from there at its start (docs.k3s.io/installation/airgap)."""
_CLOUD_CONFIG = "#cloud-config\n"
_TARGET = "server-"
"""Before a server's number, in the load balancer's configuration."""
_START_SECONDS = 30.0


class LabMachines:
    """See ``Machines``. A container of the lab that has the asked name, and that nobody here knows yet, is adopted.

    A machine has one address, in the lab's network: it is its public and its private one.

    Args:
        engine: where the lab is.
        lab: it.
        reporter: told of images that are built.
        images: an archive of images that each machine gets for its k3s, in place of a registry.
    """

    def __init__(self, engine: DockerClient, lab: Topology, reporter: Reporter, images: Path | None = None) -> None:
        self._engine, self._lab, self._reporter, self._images = engine, lab, reporter, images
        self._mark = secrets.token_hex(4)
        self._names: dict[int, str] = {}
        """The container of each machine and load balancer, by the API's number."""
        self._promised: set[str] = set()
        self._lock = threading.Lock()

    def reserve(self, name: str) -> Addresses:
        """See ``Machines``."""
        with self._lock, _refused():
            found = machines.find(self._engine, self._lab, name)
            if found is not None and found.name not in self._names.values():
                address = machines.address_of(found, self._lab)
            else:
                address = machines.free_address(self._engine, self._lab, *self._promised)
                self._promised.add(address)
        return Addresses(address, address)

    def create(self, spec: MachineSpec) -> None:
        """See ``Machines``."""
        with _refused():
            found = machines.find(self._engine, self._lab, spec.name)
            if found is None or machines.address_of(found, self._lab) != spec.addresses.public:
                found = machines.make(self._engine, self._lab, self._fresh(spec), self._reporter)
                if self._images is not None:
                    containers.place_file(found, IMAGES, self._images)
            self._names[spec.id] = str(found.name)

    def start(self, number: int) -> None:
        """See ``Machines``."""
        with _refused():
            machines.power_on(self._container(number))

    def stop(self, number: int) -> None:
        """See ``Machines``."""
        with _refused():
            machines.cut_power(self._container(number))

    def rename(self, number: int, name: str) -> None:
        """See ``Machines``."""
        with _refused():
            container = self._container(number)
            renamed = beside(self._lab, Role.SERVER, name, "", "", {}).name
            container.rename(renamed)
            self._names[number] = renamed

    def remove(self, number: int) -> None:
        """See ``Machines``."""
        with _refused():
            if number not in self._names:
                return
            container = self._container(number)
            self._promised.discard(machines.address_of(container, self._lab))
            volumes = [mount["Name"] for mount in container.attrs["Mounts"] if mount["Type"] == "volume"]
            container.remove(force=True, v=True)
            for name in volumes:
                self._engine.volumes.get(name).remove(force=True)
            del self._names[number]

    def balance(self, number: int, address: str, services: Sequence[Service], targets: Mapping[int, str]) -> None:
        """See ``Machines``."""
        with _refused():
            container = self._balancer(number, address)
            now = traffic.setting(container)
            named = {_target(target): each for target, each in targets.items()}
            wanted = replace(now, services=tuple(services), targets=named)
            if wanted != now:
                traffic.change(container, wanted)

    def remove_balancer(self, number: int) -> None:
        """See ``Machines``. The lab's own one stays, and forwards to nobody."""
        with _refused():
            container = self._container(number)
            if container.name == self._lab.the(Role.BALANCER).name:
                traffic.change(container, replace(traffic.setting(container), targets={}))
            else:
                container.remove(force=True, v=True)
            del self._names[number]

    def health(self, number: int) -> Mapping[tuple[int, int], bool]:
        """See ``Machines``."""
        if number not in self._names:
            return {}
        with _refused():
            found = traffic.health(self._container(number))
        return {(int(name.removeprefix(_TARGET)), port): well for (name, port), well in found.items() if _is_ours(name)}

    def answer(self, records: Mapping[str, Sequence[str]]) -> None:
        """See ``Machines``."""
        with _refused():
            dns = self._engine.containers.get(self._lab.the(Role.DNS).name)
            traffic.answer(dns, Answers({name: list(values) for name, values in records.items()}))

    def _container(self, number: int) -> docker.models.containers.Container:
        return self._engine.containers.get(self._names[number])

    def _fresh(self, spec: MachineSpec) -> machines.Fresh:
        return machines.Fresh(
            member=spec.name,
            key=f"{self._mark}-{spec.id}",
            authorized_keys=spec.authorized_keys,
            address=spec.addresses.public,
            labels={NUMBER_LABEL: f"{self._lab.spec.name}/{self._mark}/{spec.id}"},
            host_key=host_key(spec.user_data),
        )

    def _balancer(self, number: int, address: str) -> docker.models.containers.Container:
        """The load balancer with that address: the lab's own, or one beside it."""
        own = self._lab.the(Role.BALANCER)
        if number not in self._names:
            self._names[number] = own.name if address == own.address else self._make_balancer(number, address)
        return self._container(number)

    def _make_balancer(self, number: int, address: str) -> str:
        member = f"balancer-{self._mark}-{number}"
        labels = {NUMBER_LABEL: f"{self._lab.spec.name}/{self._mark}/{number}"}
        wanted = beside(self._lab, Role.BALANCER, member, address, str(number), labels)
        image = ensure(self._engine, read(Role.BALANCER.image), self._reporter)
        made = containers.make(self._engine, self._lab, wanted, image)
        # Somebody listens, and forwards to nobody.
        containers.place(made, [Placed(balancer.FILE, balancer.configuration(balancer.INGRESS, {}))])
        made.start()
        listening = balancer.INGRESS[0].listen
        containers.wait(f"{member} did not come up", lambda: containers.answers(address, listening), _START_SECONDS)
        return wanted.name


def _target(number: int) -> str:
    return f"{_TARGET}{number}"


def _is_ours(name: str) -> bool:
    return name.startswith(_TARGET) and name.removeprefix(_TARGET).isdigit()


def host_key(user_data: str) -> tuple[str, str] | None:
    """The host key that a machine is told to have: private half, public half. Pure.

    A machine with cloud-init does this itself. Of its many words this stand-in knows ``ssh_keys`` alone.

    Raises:
        DrkitError: it is not understood.
    """
    if not user_data.startswith(_CLOUD_CONFIG):
        return None
    try:
        keys = (YAML(typ="safe").load(user_data) or {}).get("ssh_keys") or {}
        private, public = keys.get("ed25519_private"), keys.get("ed25519_public")
    except (YAMLError, AttributeError) as error:
        raise DrkitError(f"the user data is no cloud-config: {type(error).__name__}") from None
    return (str(private), str(public)) if private and public else None


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except NotFound as error:
        raise DrkitError(f"it is gone: {error}") from error
    except DockerException as error:
        raise DrkitError(f"the Docker engine refused: {error}", "its own log says more") from error
