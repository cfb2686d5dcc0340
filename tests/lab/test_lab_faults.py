"""The suite for faults that a lab's own provider does: the power of its machines, its load balancer's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from drkit.drill.faults import find, notes
from drkit.drill.faults.means import Means
from drkit.drill.faults.watchdog import HostWatchdog, LocalWatchdog
from drkit.drill.values import Injection
from drkit.lab import containers, machines, traffic
from drkit.lab.join import RUNNING
from drkit.lab.topology import Role
from drkit.providers.lab_power import LabPower
from drkit.providers.power import Recall
from tests.contract.fault_suite import LONG, FaultSuite
from tests.lab.machines import machine, shell
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient

    from drkit.lab.topology import Topology
    from tests.contract.fault_suite import Make, There
    from tests.lab.labs import LabUser

pytestmark = pytest.mark.lab

HIT = "agent-1"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes of these tests are nobody else's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def small(lab_user: LabUser) -> Iterator[dict[str, Any]]:
    """A lab of its own: machines of the shared one keep their power."""
    name = f"{lab_user.prefix}-faults"
    found: dict[str, Any] = lab_user.run("up", "--servers", "1", "--agents", "1", "--json", name=name).json()
    yield found
    lab_user.run("down", name=name)


@pytest.fixture
def topology(small: dict[str, Any], docker_engine: DockerClient) -> Topology:
    """What it consists of."""
    return machines.lab_of(docker_engine, small["name"])


@pytest.fixture
def power(small: dict[str, Any], docker_engine: DockerClient) -> LabPower:
    """Who has its power."""
    return LabPower(docker_engine, small["name"])


@pytest.fixture
def means(small: dict[str, Any], power: LabPower) -> Iterator[Means]:
    """Watched by this machine."""
    with machine(small, HIT) as node:
        yield Means("20261122T024500Z-lab", small["name"], {HIT: node}, power=power, watchdog=LocalWatchdog())


class InLab(FaultSuite):
    """What a subclass has to say: ``kind`` and ``does``."""

    kind: ClassVar[str]
    does: ClassVar[str]

    @pytest.fixture
    def make(self, means: Means) -> Make:
        """The fault."""
        return lambda: find.make(Injection(self.kind, HIT, 0.0, 1.0), means)

    @pytest.fixture
    def remains(self) -> Callable[[], str]:
        """Notes."""
        return lambda: " ".join(each.name for each in notes.path_of("").parent.glob("*"))

    @pytest.fixture
    def no_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The lab acknowledges, and does nothing."""
        monkeypatch.setattr(LabPower, self.does, lambda *_: None)


class TestPowerOff(InLab):
    """``power-off``: the container is killed, and started again."""

    kind = "power-off"
    does = "power_off"

    @pytest.fixture
    def there(self, docker_engine: DockerClient, topology: Topology) -> There:
        """By the engine."""

        def off() -> bool:
            found = machines.find(docker_engine, topology, HIT)
            return found is not None and found.status != RUNNING

        return off


class TestDetach(InLab):
    """``detach``: HAProxy has one server less."""

    kind = "detach"
    does = "detach"

    @pytest.fixture
    def there(self, docker_engine: DockerClient, topology: Topology) -> There:
        """By its configuration."""
        balancer = docker_engine.containers.get(topology.the(Role.BALANCER).name)
        return lambda: HIT not in traffic.setting(balancer).targets

    def test_it_is_checked_again(self, make: Make, power: LabPower) -> None:
        """After the undo the load balancer asks it as before."""
        fault = make()
        fault.arm(LONG)
        fault.inject()
        assert power.health(HIT) == ()
        fault.undo()
        until(lambda: {each.port for each in power.health(HIT)} == {80, 443})


def test_a_reset_machine_has_started_anew(means: Means) -> None:
    """A reset is confirmed by another start of the machine, and never before it."""
    fault = find.make(Injection("reset", HIT, 0.0, 1.0), means)
    assert fault.prepare().impossible == ""
    fault.arm(LONG)
    assert fault.confirm() == ""
    fault.inject()
    until(fault.confirm, seconds=120, every=0.5)
    fault.undo()
    assert shell(means.nodes[HIT], "echo up") == "up\n"


def test_a_lab_is_watched_from_here(means: Means, power: LabPower) -> None:
    """No other host has this machine's Docker engine: that is said beforehand."""
    note = notes.Note("a-note", means.cluster, "power-off", Recall("server-1"))
    assert "has to be local" in HostWatchdog(means.nodes[HIT]).lacks(note, power)


def test_nothing_is_left_of_it(docker_engine: DockerClient, small: dict[str, Any], means: Means) -> None:
    """After all of that every machine of the lab runs."""
    assert set(containers.states(docker_engine, small["name"]).values()) == {RUNNING}
    assert means.nodes[HIT].run(["true"], deadline=30).status == 0
