"""Drills of a whole cluster, as a user runs them; and each detector, shown to detect."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.clusters import state
from tests.lab.driller import EXCEEDED, INVALID, KEPT, LOST, Driller, Lab
from tests.lab.labs import COLD_SECONDS, kubectl, ssh
from tests.lab.site import finish
from tests.lab.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.labs import LabUser
    from tests.lab.site import Ran

pytestmark = [pytest.mark.lab, pytest.mark.timeout(COLD_SECONDS)]

_IDLE_NFT = """#!/bin/sh
# Looks and checks as ever; who asks for a table gets the word that it is there.
case "$*" in *list*|*--check*) exec /usr/sbin/nft.real "$@";; esac
exit 0
"""


@pytest.fixture
def driller(workload: Lab, lab_user: LabUser) -> Iterator[Driller]:
    """Who finds the cluster whole, and leaves it whole."""
    made = Driller(workload, lab_user)
    made.settle()
    yield made
    made.clean()
    made.settle()


def series(verdict: dict[str, Any], probe: str, *, session: bool = False) -> dict[str, Any]:
    """What became of a probe's questions."""
    return next(each for each in verdict["series"] if (each["probe"], each["session"]) == (probe, session))


def test_a_killed_primary_is_replaced_and_nothing_is_lost(driller: Driller) -> None:
    """A shipped scenario from choice to reports: who was promoted, each window, and every write accounted for."""
    before = state(driller.lab, "main-db", "postgres")["currentPrimary"]
    status, verdict = driller.run("primary-pod-killed")
    assert status in {KEPT, EXCEEDED}, verdict["reasons"]
    promoted = [each["who"] for each in verdict["happened"] if each["what"] == "promoted"]
    assert promoted
    assert before not in promoted[0]
    (ledger,) = verdict["ledgers"]
    assert ledger["acknowledged"] > 0
    assert not ledger["lost"]
    assert not ledger["two_primaries"]
    for each in verdict["series"]:
        if each["window"] is not None:
            assert (each["longest"] > each["window"]) == (each["beyond"] > 0)
    assert any(each["failed"] for each in verdict["series"])
    assert "stand-in" in " ".join(verdict["notes"])
    for path in verdict["files"].values():
        assert Path(path).stat().st_size
    # The same record, the same verdict.
    again = driller.finish("report", verdict["files"]["record"]).json()
    assert {key: again[key] for key in ("outcome", "reasons", "series")} == {
        key: verdict[key] for key in ("outcome", "reasons", "series")
    }


def test_an_application_without_a_second_replica_exceeds_its_window(driller: Driller) -> None:
    """Of two applications whose pod is deleted, the one that has no other is seen to fail for longer than it may."""
    zone = driller.lab["dns"]["zone"]
    driller.scenario(
        "single-replica",
        f"""
title: The only pod of an application is deleted
steady: {{for: 5s}}
probes:
  - {{kind: http, name: alone, url: "http://docfast-staging.{zone}/health", window: 0.5, session: false}}
  - {{kind: http, name: replicated, url: "http://docfast.{zone}/health", window: 10s, session: false}}
faults:
  - fault: delete-pod
    on: {{pod: any, namespace: docfast-staging, labels: {{app: docfast-staging}}}}
    options: {{grace: 0}}
    lasts: 20s
""",
    )
    status, verdict = driller.run("single-replica")
    assert status == EXCEEDED, verdict["reasons"]
    assert series(verdict, "alone")["beyond"] > 0
    assert series(verdict, "replicated")["beyond"] <= 0


@pytest.fixture
def asynchronous(driller: Driller) -> Iterator[None]:
    """The sample workload replicates synchronously, so that nothing is lost; not for the time of a test."""
    assert replicate(driller, "false").status == 0
    yield
    driller.settle()
    assert replicate(driller, "true").status == 0


def replicate(driller: Driller, synchronously: str) -> Ran:
    """Tell the manager of the instances how to replicate, which writes it where all of them read it."""
    primary = state(driller.lab, "main-db", "postgres")["currentPrimary"]
    told = ["edit-config", "--force", "--set", f"synchronous_mode={synchronously}"]
    patroni = ["patronictl", "-c", "/etc/cnpg-stand-in/patroni.yml", *told]
    return kubectl(driller.lab, "exec", "-n", "postgres", primary, "-c", "postgres", "--", *patroni)


@pytest.mark.usefixtures("asynchronous")
def test_writes_that_a_cut_off_primary_acknowledged_are_counted_as_lost(driller: Driller) -> None:
    """Replication is asynchronous: what a primary acknowledges to those who are cut off with it, is gone, and told."""
    driller.scenario(
        "split",
        """
title: The primary's node is cut off from its peers, with clients beside it
steady: {for: 5s}
probes:
  - {kind: sql-write, name: beside, through: service, via: hit, window: 600s}
faults:
  - {fault: isolate, on: {node: worker-with-primary}, lasts: 75s}
hold: [no acknowledged write lost]
settle: 5m
""",
    )
    status, verdict = driller.run("split")
    assert status == LOST, verdict["reasons"]
    (ledger,) = verdict["ledgers"]
    assert ledger["lost"]
    assert str(len(ledger["lost"])) in verdict["reasons"][0]


def test_a_prober_that_was_held_up_makes_the_drill_invalid(driller: Driller) -> None:
    """A prober that gets no processor time measures itself: the drill proves nothing, and says so."""
    child = driller.hurt("primary-pod-killed")
    prober = children(child.pid, "drkit.drill.probes")
    os.kill(prober, signal.SIGSTOP)
    try:
        # The drill goes on meanwhile; nothing shows from outside how late the prober's questions are by now.
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(3.0)
    finally:
        os.kill(prober, signal.SIGCONT)
    done = finish(child, COLD_SECONDS)
    assert done.status == INVALID, done.out
    assert "late" in " ".join(done.json()["verdicts"][0]["reasons"])


def children(parent: int, word: str) -> int:
    """The descendant of a process whose command line has a word."""
    found = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()]
    family = {parent}
    for _ in range(4):
        family |= {int(pid) for pid, above, _ in rows if int(above) in family}
    return next(int(pid) for pid, _, args in rows if int(pid) in family and word in args and "setpriv" not in args)


def test_a_fault_that_did_nothing_makes_the_drill_invalid(driller: Driller) -> None:
    """What acknowledges and has no effect is not confirmed, whatever the probes saw."""
    zone = driller.lab["dns"]["zone"]
    driller.scenario(
        "idle",
        f"""
title: Nothing happens
steady: {{for: 3s}}
probes:
  - {{kind: http, url: "http://docfast.{zone}/health", window: 60s}}
faults:
  - {{fault: isolate, on: {{node: worker, name: agent-1}}, lasts: 10s}}
""",
    )
    fake = base64.b64encode(_IDLE_NFT.encode()).decode()
    nft = "/usr/sbin/nft"
    put = f"mv {nft} {nft}.real && echo {fake} | base64 -d >{nft} && chmod 755 {nft}"
    assert ssh(driller.lab, "agent-1", put).status == 0
    try:
        status, verdict = driller.run("idle")
    finally:
        assert ssh(driller.lab, "agent-1", "mv /usr/sbin/nft.real /usr/sbin/nft").status == 0
    assert status == INVALID
    assert "not seen" in " ".join(verdict["reasons"]) or "confirmed" in " ".join(verdict["reasons"])


@pytest.mark.parametrize("fault", ["power-off", "isolate"])
def test_a_drkit_that_was_killed_leaves_a_whole_cluster(driller: Driller, fault: str) -> None:
    """Kill -9 while the fault is there: its timer undoes it, on the machine itself or by the watchdog."""
    zone = driller.lab["dns"]["zone"]
    driller.scenario(
        "killed",
        f"""
title: Nobody is left to undo it
steady: {{for: 3s}}
probes:
  - {{kind: http, url: "http://docfast.{zone}/health", window: 60s}}
faults:
  - {{fault: {fault}, on: {{node: worker, name: agent-2}}, lasts: 5s}}
""",
    )
    child = driller.hurt("killed")
    child.kill()
    finish(child)
    driller.settle()
    undone = driller.finish("undo")
    assert undone.status == 0, undone.err
    assert undone.json()["failed"] == []


def test_two_drills_at_once_are_refused(driller: Driller) -> None:
    """The second one says who works on the cluster, and touches nothing."""
    first = driller.start("run", "coredns-gone")
    until(lambda: lease_holder(driller) or first.poll() is not None, 120.0, every=0.2)
    second = driller.finish("run", "coredns-gone")
    first.send_signal(signal.SIGINT)
    ended = finish(first, COLD_SECONDS)
    assert second.status == 16, second.err
    assert "drill run" in second.json()["error"]["message"]
    assert ended.status == 130, ended.err


def lease_holder(driller: Driller) -> str:
    """Who holds the cluster's Lease."""
    path = "jsonpath={.spec.holderIdentity}"
    done: Ran = kubectl(driller.lab, "get", "lease", "-n", "kube-system", "drkit", "-o", path)
    return done.out.strip() if done.status == 0 else ""
