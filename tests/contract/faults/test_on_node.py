"""The suite for faults that are done over SSH, each on a machine with systemd, nftables and k3s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from drkit.drill.faults import find
from drkit.drill.faults.armed import Armed
from drkit.drill.faults.clean import clean
from drkit.drill.faults.late import Late
from drkit.drill.faults.slowness import Slowness
from drkit.drill.values import Injection
from tests.contract.fault_suite import LONG, FaultSuite
from tests.contract.faults.machine import NAME, PEER, PEER_PORT, SMALL_DISK
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from drkit.drill.faults.means import Means
    from drkit.drill.faults.port import Fault
    from tests.contract.fault_suite import Make, There
    from tests.contract.faults.machine import Machine

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]


def injection(kind: str, **options: Any) -> Injection:
    """Of a fault on the machine."""
    return Injection(kind, NAME, after=0.0, lasts=1.0, options=options)


class OnNode(FaultSuite):
    """What a subclass has to say: ``kind``, ``options``, and how its effect is seen on the machine."""

    kind: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    effect: ClassVar[str] = "false"
    """A shell script that succeeds there while the effect is."""

    @pytest.fixture
    def make(self, means: Means) -> Make:
        """The fault."""
        return lambda: find.make(injection(self.kind, **self.options), means)

    @pytest.fixture
    def there(self, machine: Machine) -> There:
        """By the engine, without SSH."""
        return lambda: machine.holds(self.effect)

    @pytest.fixture
    def remains(self, machine: Machine) -> Callable[[], str]:
        """Files, units and tables."""
        return machine.remains

    @pytest.fixture
    def no_op(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is done to the machine is not."""
        monkeypatch.setattr(Armed, "act", lambda *_, **__: "done")

    def test_the_next_run_cleans_it(self, make: Make, there: There, machine: Machine) -> None:
        """What a drill left is undone by the next one, and told once."""
        fault = make()
        fault.arm(LONG)
        fault.inject()
        cleaned = clean("of-the-test", [machine.node])
        assert cleaned.failed == []
        assert len(cleaned.done) == 1
        assert cleaned.done[0].startswith(NAME)
        assert not there()
        assert machine.remains() == ""
        assert clean("of-the-test", [machine.node]).done == []


class Unreached(OnNode):
    """A fault after which the machine's peer is not reached; every look sends packets."""

    @pytest.fixture
    def there(self, machine: Machine) -> There:
        """The peer does not answer."""
        return lambda: not machine.reaches_peer()


class TestIsolate(Unreached):
    """``isolate``."""

    kind = "isolate"
    options: ClassVar[dict[str, Any]] = {"peers": [PEER, "10.42.77.0/24", "fd00:77::/64"]}


class TestIsolateFromApi(Unreached):
    """``isolate-from-api``."""

    kind = "isolate-from-api"
    options: ClassVar[dict[str, Any]] = {"servers": [f"{PEER}:{PEER_PORT}"]}


class TestBlockClient(Unreached):
    """``block-client``."""

    kind = "block-client"
    options: ClassVar[dict[str, Any]] = {"server": f"{PEER}:{PEER_PORT}"}


class TestLoss(Unreached):
    """``slow-network`` with all packets lost: by netem where the kernel has it, else by nftables."""

    kind = "slow-network"
    options: ClassVar[dict[str, Any]] = {"loss_percent": 100.0, "to": "peers", "peers": [PEER]}


class TestDelay(OnNode):
    """``slow-network`` with packets that are late: by netem where the kernel has it, else by drkit's own program."""

    kind = "slow-network"
    options: ClassVar[dict[str, Any]] = {"delay": 0.3, "jitter": 0.05, "to": "peers", "peers": [PEER, "10.42.77.0/24"]}
    effect = f"ping -c 1 -W 5 {PEER} | grep 'time=[2-9][0-9][0-9]'"


class TestDelayOfAll(OnNode):
    """Likewise, to whomever they go."""

    kind = "slow-network"
    options: ClassVar[dict[str, Any]] = {"delay": 0.2, "to": "all", "loss_percent": 0.001}

    @pytest.fixture
    def there(self, machine: Machine) -> There:
        """By an echo from outside the machine."""
        return lambda: machine.holds(f"ping -c 1 -W 5 {machine.gateway} | grep 'time=[2-9][0-9][0-9]'")


class TestFillDisk(OnNode):
    """``fill-disk``, on a disk of some megabytes."""

    kind = "fill-disk"
    options: ClassVar[dict[str, Any]] = {"path": SMALL_DISK, "leave_bytes": 2**20}
    effect = f"! head -c {2**21} /dev/zero >{SMALL_DISK}/more; status=$?; rm -f {SMALL_DISK}/more; exit $status"


class TestPressMemory(OnNode):
    """``press-memory``, of a container that has a bound."""

    kind = "press-memory"
    options: ClassVar[dict[str, Any]] = {"leave_bytes": 800 * 2**20}
    effect = "systemctl is-active --quiet 'drkit-drill-*-holds.service'"


class TestStoppedEtcd(OnNode):
    """``kill-process`` by SIGSTOP."""

    kind = "kill-process"
    options: ClassVar[dict[str, Any]] = {"process": "etcd", "signal": "STOP"}
    effect = "ps -eo stat=,args= | grep -q '^T.*/bin/etcd '"


def confirmed(fault: Fault) -> None:
    """Prepare, arm and do it, and see it confirmed and undone."""
    assert fault.prepare().impossible == ""
    fault.arm(LONG)
    assert fault.confirm() == ""
    fault.inject()
    until(fault.confirm, every=0.2)
    fault.undo()


@pytest.mark.parametrize("process", ["etcd", "containerd", "k3s"])
def test_a_killed_process_is_another_one_later(process: str, means: Means, machine: Machine) -> None:
    """A process that is killed is seen to be gone, and whoever runs it starts it again."""
    confirmed(find.make(injection("kill-process", process=process, signal="KILL"), means))
    machine.wait_until_whole()
    assert machine.remains() == ""


def test_a_service_is_restarted(means: Means, machine: Machine) -> None:
    """A restart is seen by systemd's own number of the run."""
    confirmed(find.make(injection("restart-service", unit="k3s"), means))
    assert machine.remains() == ""


@pytest.mark.usefixtures("machine")
def test_a_restart_that_did_nothing_is_not_confirmed(means: Means, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run of a service is no restart, whatever was acknowledged."""
    fault = find.make(injection("restart-service", unit="k3s"), means)
    fault.arm(LONG)
    monkeypatch.setattr(Armed, "act", lambda *_, **__: "done")
    fault.inject()
    assert fault.confirm() == ""
    fault.undo()


def test_k3s_is_replaced_and_put_back(means: Means, machine: Machine, tmp_path: Path) -> None:
    """The given program takes the place of k3s and runs; the undo brings the old one back, byte by byte."""
    from dataclasses import replace  # noqa: PLC0415 - this test's alone

    content = machine.sh("cat /usr/local/bin/k3s").stdout
    before = machine.sh("sha256sum /usr/local/bin/*").stdout
    other = tmp_path / "k3s"
    other.write_text(content + "\n# another one\n")
    fault = find.make(injection("upgrade-k3s"), replace(means, k3s_binary=other))
    assert fault.prepare().impossible == ""
    fault.arm(LONG)
    assert fault.confirm() == ""
    fault.inject()
    until(fault.confirm, every=0.5)
    assert machine.holds("tail -n 1 /usr/local/bin/k3s | grep -q another")
    fault.undo()
    assert machine.sh("sha256sum /usr/local/bin/*").stdout == before
    assert machine.remains() == ""


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("fill-disk", {"path": "/var", "leave_bytes": 0}, "container"),
        ("fill-disk", {"path": "/no/such/directory", "leave_bytes": 0}, "no directory"),
        ("fill-disk", {"path": SMALL_DISK, "leave_bytes": 2**40}, "left already"),
        ("kill-process", {"process": "postgres"}, "no postgres"),
        ("restart-service", {"unit": "k3s-of-nobody"}, "does not run"),
        ("isolate", {"peers": []}, "nobody"),
        ("isolate", {"peers": ["not an address"]}, "not an address"),
        ("isolate-from-api", {"servers": ["172.17.0.1"]}, "no address with a port"),
        ("upgrade-k3s", {}, "nobody gave"),
    ],
)
def test_what_it_cannot_do_it_says(
    kind: str, options: dict[str, Any], said: str, means: Means, machine: Machine
) -> None:
    """A fault that a machine cannot do, or must not, says so beforehand, and why."""
    assert said in find.make(injection(kind, **options), means).prepare().impossible
    assert machine.remains() == ""


def test_a_server_is_not_kept_from_itself(means: Means, machine: Machine) -> None:
    """A machine that serves the API cannot be isolated from it."""
    address = machine.sh("hostname -I").stdout.split()[0]
    fault = find.make(injection("isolate-from-api", servers=[f"{address}:6443"]), means)
    assert "itself" in fault.prepare().impossible


def test_who_holds_packets_back_is_told(means: Means, machine: Machine) -> None:
    """Whether the kernel has netem is found out by trying; where it has not, it is said that a program does it."""
    fault = find.make(injection("slow-network", delay=0.2, to="peers", peers=[PEER]), means)
    has = machine.holds("unshare --net tc qdisc add dev lo root netem delay 1ms")
    assert fault.prepare().impossible == ""
    fault.arm(LONG)
    assert ("no netem" in fault.inject()) is not has
    fault.undo()


def test_a_program_that_is_killed_holds_nothing_back(means: Means, machine: Machine) -> None:
    """Whatever ends the program that packets go through, they go their own way again."""
    slowness = Slowness(0.3, 0.0, 0.0, (f"{PEER}/32",))
    late = Late(Armed(means.nodes[NAME], "killed"), slowness)
    assert late.impossible() == ""
    Armed(means.nodes[NAME], "killed").place(late.undoing(), "done", LONG)
    late.inject()
    assert machine.holds(TestDelay.effect)
    machine.sh("systemctl kill --signal=KILL drkit-drill-killed-holds.service")
    until(lambda: not machine.holds(TestDelay.effect) and machine.reaches_peer(), every=0.2)
    Armed(means.nodes[NAME], "killed").fire()
    assert machine.remains() == ""


def test_what_directs_packets_already_is_left_alone(means: Means, machine: Machine) -> None:
    """Where somebody else's programs stand in the packets' way , as Cilium's do, drkit's does not take their place."""
    machine.sh("tc qdisc add dev veth0 clsact")
    late = Late(Armed(means.nodes[NAME], "refused"), Slowness(0.3, 0.0, 0.0, (f"{PEER}/32",)))
    assert "clsact" in late.impossible()
    machine.sh("tc qdisc del dev veth0 clsact")


def test_ssh_goes_on_while_all_else_is_cut(means: Means, machine: Machine) -> None:
    """A machine that is isolated from the very host that drills it is still logged in to."""
    fault = find.make(injection("isolate", peers=[machine.gateway, PEER]), means)
    fault.arm(LONG)
    fault.inject()
    assert not machine.holds(f"ping -c 1 -W 1 {machine.gateway}")
    assert means.nodes[NAME].run(["true"], deadline=10).status == 0
    fault.undo()
    assert machine.holds(f"ping -c 1 -W 1 {machine.gateway}")


def test_a_reboot_leaves_the_file_and_the_next_run_finds_it(means: Means, machine: Machine) -> None:
    """What outlives a reboot is noted on the disk: without timer and script it is found and removed all the same."""
    fault = find.make(injection("fill-disk", path=SMALL_DISK, leave_bytes=2**20), means)
    fault.arm(LONG)
    fault.inject()
    machine.sh("systemctl stop 'drkit-drill-*.timer'; rm -rf /run/drkit-drill")
    assert "is gone" in " ".join(clean("of-the-test", [machine.node]).done)
    assert machine.remains() == ""


def test_an_undo_that_fails_is_tried_again(means: Means, machine: Machine) -> None:
    """A timer's undo that cannot do its work is started again until it can."""
    waiting = Armed(means.nodes[NAME], "retried")
    waiting.place("[ -e /run/may ] || return 1", "done", 0.1)
    tried = "systemctl show drkit-drill-retried.service -P NRestarts | grep -q '^[1-9]'"
    until(lambda: machine.holds(tried), every=0.5)
    machine.sh("touch /run/may")
    until(lambda: machine.remains() == "", every=0.5)
    machine.sh("rm /run/may")
