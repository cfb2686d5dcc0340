"""A restore's machines and traffic through Hetzner's API, whose stand-in makes containers, killed again and again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drkit.config.load import load
from drkit.lab import containers, inside, machines, traffic
from drkit.lab.hcloud.seed import serving_lab
from drkit.lab.topology import Role, full_name
from drkit.providers import find, naming
from tests.lab.labs import COLD_SECONDS
from tests.lab.machines_once import PAGE, TARGET
from tests.lab.traffic import everything, page, resolved
from tests.lab.waiting import until
from tests.old_cluster import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker import DockerClient
    from docker.models.containers import Container

    from drkit.lab.hcloud.serve import StandIn
    from drkit.lab.topology import Topology
    from tests.lab.labs import LabUser

pytestmark = [pytest.mark.lab, pytest.mark.disaster, pytest.mark.timeout(COLD_SECONDS)]

TOKEN = "a-token-for-tests"
BOOT_SECONDS = "40"
_SECONDS = 400.0


@dataclass
class Owner:
    """Whoever restores the lab's cluster to new machines."""

    directory: Path
    lab: dict[str, Any]
    topology: Topology
    engine: DockerClient
    api: StandIn

    @property
    def site(self) -> str:
        """The name that leads to the application."""
        return f"shop.{self.topology.zone}"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.directory / "drkit.yaml"

    def configure(self) -> None:
        """Write it."""
        address = self.topology.the(Role.SERVER).address
        lines = [
            f"cluster: {{name: lab, servers: [{{name: server-1, address: {address}}}]}}",
            "vaults: {databases: {url: vault, passphrase: {env: HCLOUD_TOKEN}}}",
            f'health: [{{url: "http://{self.site}/health"}}]',
            f"clusters: {{{TARGET}: {{provider: hetzner, token: {{env: HCLOUD_TOKEN}}, server_type: cax11,",
            f"  image: debian-13, location: nbg1, network: {self.topology.network}, load_balancer: balancer,",
            f"  dns: [{self.site}, shop.example.org], ssh: {{user: root, key: {self.lab['ssh']['key']}}}}}}}",
        ]
        self.config.write_text("\n".join(lines))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin, or go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.lab.machines_once", str(self.config), *arguments],
            env={
                **os.environ,
                "HCLOUD_ENDPOINT": self.api.endpoint,
                "HCLOUD_TOKEN": TOKEN,
                "XDG_STATE_HOME": str(self.directory / "state"),
            },
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def journal(self) -> list[str]:
        """The lines of its journal."""
        found = sorted((self.directory / f"state/drkit/restores/{TARGET}").glob("*.jsonl"))
        return found[-1].read_text(errors="replace").splitlines() if found else []

    def has(self, step: str, status: str = "started") -> bool:
        """Whether the restore has come that far."""
        return any(f'"step": "{step}", "status": "{status}"' in line for line in self.journal())

    def kill_when(self, condition: Callable[[], object]) -> None:
        """Begin, or go on, and kill -9 what does it when the condition holds."""
        child = self.start()
        until(lambda: condition() or child.poll() is not None, _SECONDS)
        assert child.poll() is None, child.communicate()[1]
        child.kill()
        child.communicate()

    def asked(self, method: str, path: str) -> bool:
        """Whether the API was asked that."""
        return any(each[0] == method and path in each[1] for each in self.api.asked)

    def ended(self, child: subprocess.Popen[str] | None = None) -> tuple[int, str]:
        """Go on to the end: status, and what it said."""
        child = child or self.start()
        _, said = child.communicate(timeout=_SECONDS)
        return child.returncode, said

    def made(self, name: str) -> Container | None:
        """The machine that was made for an old one of this name, once it runs."""
        beginning = full_name(self.topology.spec.name, f"{name}-r")
        return next((each for each in self.engine.containers.list() if str(each.name).startswith(beginning)), None)


@pytest.fixture
def owner(lab_user: LabUser, docker_engine: DockerClient, tmp_path: Path) -> Iterator[Owner]:
    """With a lab of their own, seen as a Hetzner project."""
    name = f"{lab_user.prefix}-machines"
    lab: dict[str, Any] = lab_user.run("up", "--servers", "1", "--agents", "1", "--json", name=name).json()
    topology = machines.lab_of(docker_engine, name)
    dns = docker_engine.containers.get(topology.the(Role.DNS).name)
    now = traffic.answers(dns)
    traffic.answer(dns, type(now)({**now.records, f"shop.{topology.zone}": ["192.0.2.7"]}))
    with serving_lab(docker_engine, name, TOKEN, Heard()) as api:
        made = Owner(tmp_path, lab, topology, docker_engine, api)
        made.configure()
        yield made
    lab_user.run("down", name=name)


def test_killed_in_every_action_it_ends_the_same(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """After kill -9 in the middle of each action there are the machines once, traffic and names lead to them.

    While the old cluster lives nothing leads there; destroy then leaves no trace.
    """
    before = everything(owner.engine, owner.topology)
    owner.kill_when(lambda: owner.has("network"))
    owner.kill_when(lambda: owner.asked("POST", "/servers"))
    owner.kill_when(lambda: owner.asked("PUT", "/servers/"))
    owner.kill_when(lambda: owner.has("mark agent-1"))
    status, said = owner.ended()
    assert status != 0
    assert "the old cluster is not dead" in said
    assert resolved(owner.lab, owner.site) == "192.0.2.7"
    old = [owner.engine.containers.get(each.name) for each in owner.topology.nodes]
    for each in old:
        each.kill()
    owner.kill_when(lambda: owner.has("balancer"))
    owner.kill_when(lambda: owner.has("dns"))
    status, said = owner.ended()
    assert status == 0, said
    see_that_it_is_whole(owner)
    monkeypatch.setenv("HCLOUD_ENDPOINT", owner.api.endpoint)
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    restore = restore_of(owner)
    find.provider(load(owner.config), TARGET, Heard()).destroy(restore)
    owner.api.project.close()
    for each in old:
        machines.power_on(each)
    assert everything(owner.engine, owner.topology) == before
    assert resolved(owner.lab, owner.site) == "192.0.2.7"


def test_a_machine_that_never_boots_is_named(owner: Owner) -> None:
    """Within its bound it is waited for, while the other is made; then it is said which, and --resume waits again."""
    for each in owner.topology.nodes:
        owner.engine.containers.get(each.name).kill()
    child = owner.start(BOOT_SECONDS)
    until(lambda: owner.made("server-1") or child.poll() is not None, _SECONDS)
    dead = owner.made("server-1")
    assert dead is not None, owner.ended(child)
    dead.kill()  # the API goes on saying that it runs
    status, said = owner.ended(child)
    name = f"server-1-r{naming.short(restore_of(owner))}"
    assert status != 0
    assert f"{name} is there, and did not let drkit in within {BOOT_SECONDS} s" in said
    assert owner.has("server agent-1", "done")
    machines.power_on(dead)
    status, said = owner.ended()
    assert status == 0, said
    see_that_it_is_whole(owner)


def restore_of(owner: Owner) -> str:
    """The restore's id."""
    return next((owner.directory / f"state/drkit/restores/{TARGET}").glob("*.jsonl")).stem


def see_that_it_is_whole(owner: Owner) -> None:
    """Each machine is there once, with one host key that the journal has; traffic and the name lead to the new ones."""
    restore = restore_of(owner)
    mine = [each for each in owner.api.project.things["servers"].values() if restore in each["labels"].values()]
    suffix = f"-r{naming.short(restore)}"
    assert sorted(each["name"] for each in mine) == [f"agent-1{suffix}", f"server-1{suffix}"]
    assert all("drkit-first-key" not in each["labels"] for each in mine)
    states = containers.states(owner.engine, owner.topology.spec.name)
    assert sum(suffix in name for name in states) == 2
    agent = machines.find(owner.engine, owner.topology, f"agent-1{suffix}")
    assert agent is not None
    status, mark = inside.run_in(agent, "cat", "/etc/drkit/restore.json")
    assert (status, restore in mark) == (0, True)
    until(lambda: page(owner.lab, "/health").strip() == PAGE, 60, 0.2)
    until(lambda: resolved(owner.lab, owner.site) == owner.lab["load_balancer"]["address"])
    report = (owner.directory / f"state/drkit/reports/{TARGET}/{restore}.txt").read_text()
    assert "192.0.2.7" in report
    assert f"change by hand: shop.example.org A {owner.lab['load_balancer']['address']}" in report
