"""The suite for faults that the provider does, at the stand-in for Hetzner's API; watched by a process here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from drkit.drill.faults import find, notes
from drkit.drill.faults.clean import clean
from drkit.drill.faults.means import Means
from drkit.drill.faults.watchdog import LocalWatchdog
from drkit.drill.values import Injection
from drkit.errors import FaultFailed, PreflightFailed, ProviderFailed
from drkit.lab.hcloud.memory import MemoryMachines
from drkit.lab.hcloud.serve import serving
from drkit.providers.hcloud.power import HetznerPower
from drkit.providers.power import Recall, power_of, recall_from_json
from tests.contract.fault_suite import LONG, FaultSuite
from tests.contract.faults.conftest import RUN
from tests.contract.hetzner.steps import TOKEN
from tests.lab.processes import command_line
from tests.lab.waiting import until
from tests.old_cluster import Heard, build, client, there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from drkit.drill.faults.port import Fault
    from drkit.lab.hcloud.serve import StandIn
    from tests.contract.fault_suite import Make, There

CLUSTER, HIT = "of-the-test", "k3s-w1"


@pytest.fixture
def api() -> Iterator[StandIn]:
    """The reference cluster, whose load balancer has its targets by name."""
    with serving(MemoryMachines(), TOKEN) as running:
        build(running, by_label=False)
        yield running


@pytest.fixture
def power(api: StandIn) -> HetznerPower:
    """What asks often, because the stand-in's actions are short."""
    return HetznerPower(api.token, api.endpoint, Heard(), patience=20.0, pause=0.005)


@pytest.fixture
def means(power: HetznerPower) -> Means:
    """Watched by this machine."""
    return Means(RUN, CLUSTER, {}, power=power, watchdog=LocalWatchdog())


def remaining() -> str:
    """Notes, with or without somebody who waits."""
    return " ".join(sorted(each.name for each in notes.path_of("").parent.glob("*")))


def is_off(api: StandIn) -> bool:
    """By Hetzner's own library."""
    return bool(there(client(api).servers.get_by_name(HIT)).status == "off")


def is_detached(api: StandIn) -> bool:
    """By Hetzner's own library."""
    targets = there(client(api).load_balancers.get_by_name("k3s-lb")).targets
    return there(client(api).servers.get_by_name(HIT)).id not in {each.server.id for each in targets}


class AtProvider(FaultSuite):
    """What a subclass has to say: ``kind``, ``does`` and how its effect is seen."""

    kind: ClassVar[str]
    does: ClassVar[str]
    """What of the provider is asked for."""

    def effect(self, api: StandIn) -> bool:
        """Whether it is there."""
        raise NotImplementedError

    @pytest.fixture
    def make(self, means: Means) -> Make:
        """The fault."""
        return lambda: find.make(Injection(self.kind, HIT, 0.0, 1.0), means)

    @pytest.fixture
    def there(self, api: StandIn) -> There:
        """By another client."""
        return lambda: self.effect(api)

    @pytest.fixture
    def remains(self) -> Callable[[], str]:
        """Notes."""
        return remaining

    @pytest.fixture
    def no_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The provider acknowledges, and does nothing."""
        monkeypatch.setattr(HetznerPower, self.does, lambda *_: None)

    def test_it_is_told_apart(self, make: Make) -> None:
        """Whoever composes a drill is told that its undo needs a watchdog."""
        assert make().prepare().watched

    def test_without_a_watchdog_it_needs_force(self, means: Means, there: There, power: HetznerPower) -> None:
        """Unwatched it is refused, unless that was said: then drkit's next run is what undoes it."""
        injection = Injection(self.kind, HIT, 0.0, 1.0)
        with pytest.raises(PreflightFailed, match="nobody would undo it"):
            find.make(injection, replace(means, watchdog=None)).arm(LONG)
        assert remaining() == ""
        fault = find.make(injection, replace(means, watchdog=None, unwatched=True))
        assert "drkit alone" in fault.arm(LONG)
        fault.inject()
        assert there()
        assert len(clean(CLUSTER, [], power).done) == 1
        assert not there()
        assert remaining() == ""

    def test_the_next_run_cleans_it(self, make: Make, means: Means, there: There, power: HetznerPower) -> None:
        """What a drill left is put right by the next one of the same cluster, and told once; nobody waits any more."""
        fault = make()
        fault.arm(LONG)
        fault.inject()
        assert clean("another-cluster", [], power).done == []
        assert len(clean(CLUSTER, []).failed) == 1
        assert there()
        cleaned = clean(CLUSTER, [], power, watchdog=means.watchdog)
        assert cleaned.failed == []
        assert len(cleaned.done) == 1
        assert not there()
        assert remaining() == ""
        assert clean(CLUSTER, [], power).done == []

    def test_kill_9_leaves_it_to_the_watchdog(self, api: StandIn, there: There) -> None:
        """A drkit that is killed with all its programs leaves the watchdog, which undoes it and shows no secret."""
        script = (
            "import sys, time\n"
            "from drkit.drill.faults import find\n"
            "from drkit.drill.faults.means import Means\n"
            "from drkit.drill.faults.watchdog import LocalWatchdog\n"
            "from drkit.drill.values import Injection\n"
            "from drkit.observe.progress import PlainReporter\n"
            "from drkit.providers.hcloud.power import HetznerPower\n"
            "power = HetznerPower(sys.stdin.readline().strip(), sys.argv[1], PlainReporter(), pause=0.01)\n"
            "means = Means(sys.argv[3], 'of-the-test', {}, power=power, watchdog=LocalWatchdog())\n"
            "fault = find.make(Injection(sys.argv[2], 'k3s-w1', 0, 1), means)\n"
            "said = fault.arm(6.0)\n"
            "fault.inject()\n"
            "print(said.split()[1], flush=True)\n"
            "time.sleep(600)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", script, api.endpoint, self.kind, RUN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(f"{TOKEN}\n")
        child.stdin.flush()
        watchdog = int(child.stdout.readline())
        assert there()
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        assert not any(TOKEN in word for word in command_line(watchdog))
        assert TOKEN.encode() not in Path(f"/proc/{watchdog}/environ").read_bytes()
        until(lambda: not there())
        until(lambda: not Path(f"/proc/{watchdog}").exists())
        assert remaining() == ""


class TestPowerOff(AtProvider):
    """``power-off``."""

    kind = "power-off"
    does = "power_off"

    def effect(self, api: StandIn) -> bool:
        """See above."""
        return is_off(api)


class TestDetach(AtProvider):
    """``detach``."""

    kind = "detach"
    does = "detach"

    def effect(self, api: StandIn) -> bool:
        """See above."""
        return is_detached(api)

    def test_it_comes_back_as_it_was(self, make: Make, api: StandIn) -> None:
        """The target has again what it had, the way by the private address included."""
        before = there(client(api).load_balancers.get_by_name("k3s-lb")).targets
        fault = make()
        fault.arm(LONG)
        fault.inject()
        fault.undo()
        after = there(client(api).load_balancers.get_by_name("k3s-lb")).targets
        assert {(each.server.id, each.use_private_ip) for each in before} == {
            (each.server.id, each.use_private_ip) for each in after
        }


def refused(fault: Fault) -> str:
    """Why a fault cannot be done."""
    return fault.prepare().impossible


def test_a_target_by_label_cannot_be_taken_away(power: HetznerPower) -> None:
    """A selector means others too: it is said beforehand that the machine alone cannot be detached."""
    with serving(MemoryMachines(), TOKEN) as running:
        build(running)
        by_label = HetznerPower(running.token, running.endpoint, Heard(), patience=20.0, pause=0.005)
        fault = find.make(Injection("detach", HIT, 0.0, 1.0), Means(RUN, CLUSTER, {}, power=by_label))
        assert "by its own name" in refused(fault)


def test_a_machine_that_the_provider_does_not_have(means: Means) -> None:
    """A node that is called otherwise at the provider is found out before anything is done."""
    assert "no machine" in refused(find.make(Injection("power-off", "nobody", 0.0, 1.0), means))


def test_a_machine_that_is_off_cannot_be_powered_off(means: Means, power: HetznerPower) -> None:
    """What is off already would prove nothing."""
    power.power_off(HIT)
    assert "off already" in refused(find.make(Injection("power-off", HIT, 0.0, 1.0), means))


def test_what_comes_after_its_time_is_undone(
    means: Means, api: StandIn, power: HetznerPower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that takes longer than the timer leaves nothing off: the fault is undone, and said to have failed."""
    fault = find.make(Injection("power-off", HIT, 0.0, 1.0), means)
    at_once = power.power_off

    def late(server: str) -> None:
        until(lambda: remaining() == "")
        at_once(server)

    monkeypatch.setattr(power, "power_off", late)
    fault.arm(0.5)
    with pytest.raises(FaultFailed, match="after its time"):
        fault.inject()
    assert not is_off(api)


def test_reset_goes_by_the_api(power: HetznerPower, api: StandIn) -> None:
    """A server that was reset runs; the action is Hetzner's own."""
    power.reset(HIT)
    assert not is_off(api)
    assert power.has(HIT)
    assert "reset_server" in {
        each.command for each in client(api).servers.get_actions(there(client(api).servers.get_by_name(HIT)))
    }


def test_a_recall_survives_json(power: HetznerPower) -> None:
    """What is noted is what is done later; what is none is refused; and no token is in it."""
    recall = Recall(HIT, power.leads(HIT))
    text = json.dumps(recall.as_json())
    assert recall_from_json(json.loads(text)) == recall
    assert TOKEN not in text
    with pytest.raises(ValueError, match="no recall"):
        recall_from_json({"server": HIT})


def test_the_way_leads_to_the_same(power: HetznerPower) -> None:
    """Another process finds the same provider; what holds the token does not show it."""
    way = power.way()
    assert TOKEN not in repr(way)
    assert power_of(way, Heard()).has(HIT)
    with pytest.raises(ProviderFailed):
        power_of(replace(way, provider="another"), Heard())
