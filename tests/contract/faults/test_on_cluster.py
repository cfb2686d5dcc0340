"""What needs k3s's API and a machine: a drain whose undo waits on a server; and a server as somebody's watchdog."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from drkit.cluster.api import HttpApi
from drkit.cluster.ssh import SshNode
from drkit.cluster.tunnel import Tunnel
from drkit.config.model import Ssh
from drkit.drill.faults import find
from drkit.drill.faults.means import Means
from drkit.drill.faults.watchdog import HostWatchdog
from drkit.drill.values import Injection
from drkit.errors import PreflightFailed
from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from drkit.providers.hcloud.power import HetznerPower
from tests.contract.fault_suite import LONG, SHORT
from tests.contract.faults.conftest import RUN
from tests.contract.faults.machine import NAME
from tests.contract.faults.test_by_provider import HIT, is_detached, is_off
from tests.contract.faults.test_on_node import OnNode
from tests.contract.hetzner.steps import TOKEN
from tests.lab.waiting import until
from tests.old_cluster import Heard, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.lab.hcloud.serve import StandIn
    from tests.contract.faults.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]


class TestDrain(OnNode):
    """``drain``, of the only node that there is: its pods wait for its end."""

    kind = "drain"
    effect: ClassVar[str] = f"k3s kubectl get node {NAME} -o 'jsonpath={{.spec.unschedulable}}' | grep -q true"

    @pytest.fixture
    def means(self, machine: Machine) -> Iterator[Means]:
        """With the API, through SSH."""
        with closing(Tunnel([machine.node])) as way:
            yield Means(RUN, "of-the-test", {NAME: machine.node}, servers=(NAME,), kube=HttpApi(way))

    @pytest.fixture
    def no_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The API acknowledges, and does nothing."""
        monkeypatch.setattr(HttpApi, "patch", lambda *_, **__: {})
        monkeypatch.setattr(HttpApi, "evict", lambda *_, **__: True)


@pytest.fixture
def api(machine: Machine) -> Iterator[StandIn]:
    """The reference cluster in a stand-in for Hetzner's API that the machine reaches."""
    with serving(MemoryMachines(), TOKEN, machine.gateway) as running:
        build(running, by_label=False)
        yield running


@pytest.fixture
def watched(machine: Machine, api: StandIn) -> Means:
    """Watched by the machine."""
    power = HetznerPower(api.token, api.endpoint, Heard(), patience=20.0, pause=0.005)
    return Means(RUN, "of-the-test", {}, power=power, watchdog=HostWatchdog(machine.node))


@pytest.mark.parametrize(("kind", "seen"), [("power-off", is_off), ("detach", is_detached)])
def test_a_host_undoes_it_by_itself(
    kind: str, seen: Callable[[StandIn], bool], watched: Means, api: StandIn, machine: Machine
) -> None:
    """The timer on the watchdog calls the provider; the token is its owner's to read, no argument, and goes with it."""
    fault = find.make(Injection(kind, HIT, 0.0, 1.0), watched)
    assert fault.prepare().impossible == ""
    fault.arm(SHORT)
    assert machine.sh(f"stat -c '%a %U' /run/drkit-drill/{RUN}-0/header").stdout.split() == ["600", "root"]
    assert machine.sh("stat -c '%a %U' /run/drkit-drill").stdout.split() == ["700", "root"]
    fault.inject()
    assert seen(api)
    # The pattern is no match of itself.
    assert not machine.holds(f"grep -ls '{TOKEN[:-1]}[{TOKEN[-1]}]' /proc/[0-9]*/cmdline /proc/[0-9]*/environ")
    until(lambda: not seen(api), every=0.2)
    until(lambda: machine.remains() == "", every=0.2)


@pytest.mark.parametrize("kind", ["power-off", "detach"])
def test_drkit_undoes_it_and_takes_the_timer_away(kind: str, watched: Means, machine: Machine) -> None:
    """After drkit's own undo nothing is left on the watchdog, the token neither."""
    fault = find.make(Injection(kind, HIT, 0.0, 1.0), watched)
    fault.arm(LONG)
    assert machine.remains()
    fault.inject()
    until(fault.confirm, every=0.2)
    fault.undo()
    assert machine.remains() == ""


def test_a_watchdog_is_another_machine(watched: Means) -> None:
    """A machine that is hit cannot watch over itself."""
    itself = SshNode(HIT, "192.0.2.1", Ssh())
    fault = find.make(Injection("power-off", HIT, 0.0, 1.0), replace(watched, watchdog=HostWatchdog(itself)))
    assert "is the machine that is hit" in fault.prepare().impossible
    with pytest.raises(PreflightFailed):
        fault.arm(LONG)
